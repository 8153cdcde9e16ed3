/** Bugs that can be planted where the simulation itself stands in for something real: logs and fences. Test-only; all off by default. */
export interface Bugs {
  /** The copy takes entries whatever fence they carry. */
  readonly dropFencing: boolean;
  /** The log acknowledges, now and then, what it never stores. */
  readonly ackBeforeApply: boolean;
  /** A log that is made anew gets the identity of the one before. */
  readonly reuseLogIdentity: boolean;
}

export const NO_BUGS: Bugs = { dropFencing: false, ackBeforeApply: false, reuseLogIdentity: false };
