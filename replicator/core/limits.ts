/**
 * Every bound of the system in one place, with the relations between them asserted at start.
 * Sizes are bytes, times are milliseconds.
 */
import { assert } from "./assert.ts";

export const LIMITS = {
  userBytesMax: 64,
  sessionBytesMax: 32,
  deviceBytesMax: 64,
  platformBytesMax: 32,
  stateBytesMax: 256,
  regionBytesMax: 16,
  nodeBytesMax: 64,
  logIdBytesMax: 32,
  reasonBytesMax: 200,
  regionsMax: 16,
  sessionsPerUserMax: 32,

  frameBytesTarget: 64 * 1024,
  frameBytesMax: 512 * 1024,
  frameCommandsMax: 65_536,
  frameLingerMs: 3,
  appendQueueBytesMax: 32 * 1024 * 1024,
  appendTimeoutMs: 2_000,

  watermarkMs: 250,
  tickMs: 50,
  /** A link without a frame for this long is not live. */
  stalledAfterMs: 750,
  /** A region without a watermark for this long is stale, then unknown. */
  staleAfterMs: 2_000,
  unknownAfterMs: 60_000,

  heartbeatMs: 30_000,
  /** A session lives this long after its last heartbeat, the grace included. */
  ttlMs: 75_000,
  graceMs: 15_000,
  reconcileMs: 30_000,

  bodyBytesMax: 256 * 1024,
  batchSessionsMax: 10_000,
  batchUsersMax: 1_000,
  pageMax: 1_000,
  waitMsMax: 5_000,
  waitersMax: 10_000,
  endedSessionsMax: 200_000,
} as const;

/** Throws where two limits contradict each other. Called once, when the module is loaded. */
function assertRelations(): void {
  assert(
    LIMITS.ttlMs - LIMITS.graceMs >= 2 * LIMITS.heartbeatMs,
    "a session must survive one lost heartbeat before its grace",
  );
  assert(LIMITS.frameBytesTarget < LIMITS.frameBytesMax, "a full frame must stay below the hard bound");
  assert(LIMITS.stalledAfterMs > 2 * LIMITS.watermarkMs, "one late watermark is no stall");
  assert(LIMITS.stalledAfterMs < 1_000, "a stopped link is shown within 1 s");
  assert(LIMITS.staleAfterMs > LIMITS.stalledAfterMs, "a link stalls before its region is stale");
  assert(LIMITS.unknownAfterMs > LIMITS.staleAfterMs, "a region is stale before it is unknown");
}
assertRelations();
