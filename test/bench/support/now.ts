/** The time that processes of one machine share. */

/** Milliseconds since 1970 with fractions, from the monotonic clock and its start: equal in all processes of a machine, and never set back. */
export function sharedNowMs(): number {
  return performance.timeOrigin + performance.now();
}
