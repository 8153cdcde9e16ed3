/** A broken invariant ends the process: going on with a wrong state would spread it to every region. */

export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

/** Throws {@link InvariantError} unless `condition` holds. On in production. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new InvariantError(invariant);
}

/** The value, which by construction is there. Throws {@link InvariantError} where it is not. */
export function defined<T>(value: T | undefined, invariant: string): T {
  assert(value !== undefined, invariant);
  return value;
}
