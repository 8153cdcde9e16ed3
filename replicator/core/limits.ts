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
  settingKeyBytesMax: 64,
  settingValueBytesMax: 128,
  settingsMax: 256,
  auditMax: 1_000,
  friendMessageBytesMax: 256,
  readOffsetBytesMax: 512,
  /** Others of whom a fold holds what one user says; as many again whose requests the user has read. */
  stancesPerUserMax: 5_000,
  /** Requests that wait for an answer: of one user, and to one user. */
  outgoingRequestsMax: 500,
  incomingRequestsMax: 1_000,
  /** Others who have ever asked a user, or been asked: of more, no new one asks. */
  knownOthersMax: 10_000,
  /** New requests of one user within a minute, as one node counts them; of how many users it does. */
  requestsPerMinuteMax: 60,
  requestSendersMax: 100_000,
  /** As many requests as an offset has room for. */
  friendsPageMax: 75,

  frameBytesTarget: 64 * 1024,
  frameBytesMax: 512 * 1024,
  frameCommandsMax: 65_536,
  frameLingerMs: 3,
  appendQueueBytesMax: 32 * 1024 * 1024,
  appendTimeoutMs: 2_000,
  /** So long a write with `ack=peer` waits for a peer to copy it. */
  peerAckMs: 5_000,

  watermarkMs: 250,
  /** A log carries its own digest this often. */
  digestMs: 5_000,
  /** A node takes a snapshot this often, and sooner when one is asked for. */
  snapshotMs: 600_000,
  snapshotSoonestMs: 5_000,
  /** A log that is larger or older overruns the peers that have not copied it. */
  logBytesMax: 4 * 1024 * 1024 * 1024,
  logAgeMaxMs: 24 * 3_600_000,
  /** Frames kept below what is needed: the peers compare ends of logs by them. */
  framesKept: 100,
  tickMs: 50,
  /** A node without a tick for this long stood still. */
  asleepAfterMs: 2_000,
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
  /** How long a read for the latest waits where it does not say. */
  latestWaitMs: 2_000,
  waitersMax: 10_000,
  endedSessionsMax: 200_000,
  /** Users of whom a node counts the logins in a row from one other region. */
  travellersMax: 100_000,
  /** Appends of which a node remembers where they went until it has folded them; of more, the oldest are forgotten. */
  waysMax: 100_000,

  /** Live sessions of one node, unless its configuration says otherwise: about a gigabyte. */
  sessionsMax: 1_000_000,
  /** Shares of the heap limit that live data may take before a node refuses new users, then new sessions of known ones too. */
  heapShareNewUsers: 0.7,
  heapShareNewSessions: 0.85,

  /** Below the open files that systems commonly allow a process. */
  connectionsMax: 10_000,
  /** From the connection, or the answer before, to the end of the headers; then to the end of the whole request. */
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  /** How often connections are looked at for both: often, so that few are cut off at a time. */
  connectionsCheckMs: 250,
  keepAliveMs: 72_000,
  /** A slow or silent request is cut off within this time. */
  cutOffMs: 15_000,

  /** A lease's time moves on by at most this much per tick: the rest of a longer gap is a stall, in which nobody could be heard. */
  leaseStepMs: 500,

  /** Overload is judged this often, by the mean delay of the event loop meanwhile. */
  judgeMs: 1_000,
  /** Above these mean delays a class of requests is shed; below half of it, it comes back step by step. */
  shedListsMs: 100,
  shedReadsMs: 200,
  shedHeartbeatsMs: 1_000,
  shedWritesMs: 2_000,
  /** Shares of the append queue's bound above which the lower classes are shed, whatever the delay. */
  shedListsQueueShare: 0.5,
  shedReadsQueueShare: 0.75,
  /** Of lists and reads, one turn of the event loop takes this much; the rest wait in a line of this length at most. */
  turnMs: 10,
  lineMax: 10_000,
  /** Refused clients come back after what they are told and up to this much more, each by its own draw. */
  retrySpreadSeconds: 10,
  /** Told to clients of a class that an operator switched off, and to new ones of a node that is full. */
  switchedOffRetrySeconds: 20,
  fullRetrySeconds: 4,
  switchSecondsMax: 7 * 24 * 3_600,
  /** From an operator's decision in the log to its effect on a node. */
  switchEffectMs: 5_000,
} as const;

/** Throws where two limits contradict each other. Called once, when the module is loaded. */
function assertRelations(): void {
  assert(
    LIMITS.ttlMs - LIMITS.graceMs >= 2 * LIMITS.heartbeatMs,
    "a session must survive one lost heartbeat before its grace",
  );
  assert(LIMITS.frameBytesTarget < LIMITS.frameBytesMax, "a full frame must stay below the hard bound");
  assert(LIMITS.logAgeMaxMs > 3 * LIMITS.snapshotMs, "the snapshots that are kept are younger than the log");
  assert(LIMITS.stalledAfterMs > 2 * LIMITS.watermarkMs, "one late watermark is no stall");
  assert(LIMITS.stalledAfterMs < 1_000, "a stopped link is shown within 1 s");
  assert(LIMITS.staleAfterMs > LIMITS.stalledAfterMs, "a link stalls before its region is stale");
  assert(LIMITS.unknownAfterMs > LIMITS.staleAfterMs, "a region is stale before it is unknown");
  assertBounds();
}

/** What a node takes at most, and when it refuses the rest. */
function assertBounds(): void {
  const { retrySpreadSeconds, fullRetrySeconds, switchedOffRetrySeconds, ttlMs } = LIMITS;
  assert(LIMITS.knownOthersMax > LIMITS.stancesPerUserMax, "a user can ask all whom the log has room for");
  assert(LIMITS.outgoingRequestsMax < LIMITS.stancesPerUserMax, "who asks a lot can answer all the same");
  assert(LIMITS.sessionsMax >= LIMITS.batchSessionsMax, "a full batch of heartbeats can be of live sessions");
  assert(LIMITS.heapShareNewUsers < LIMITS.heapShareNewSessions, "new users are refused before known ones");
  assert(LIMITS.heapShareNewSessions < 1, "what is left of the heap is for the requests and the logs");
  assert(LIMITS.headersTimeoutMs <= LIMITS.requestTimeoutMs, "the headers are part of the request");
  assert(
    LIMITS.requestTimeoutMs + LIMITS.connectionsCheckMs < LIMITS.cutOffMs,
    "whoever sends slowly is found by the next look after its time",
  );
  assert(
    LIMITS.keepAliveMs > 2 * LIMITS.heartbeatMs,
    "a connection survives the pause between two heartbeats",
  );
  assert(LIMITS.leaseStepMs > 2 * LIMITS.tickMs, "a late tick is no stall");
  assert(LIMITS.leaseStepMs < LIMITS.graceMs, "what counts of a stall is less than the grace");
  assert(
    LIMITS.shedListsMs < LIMITS.shedReadsMs &&
      LIMITS.shedReadsMs < LIMITS.shedHeartbeatsMs &&
      LIMITS.shedHeartbeatsMs < LIMITS.shedWritesMs,
    "the lowest class is shed first",
  );
  assert(2 * LIMITS.turnMs < LIMITS.shedListsMs, "a node whose turns are full is not late yet");
  assert(LIMITS.lineMax >= LIMITS.connectionsMax, "every connection may have one request in the line");
  assert(LIMITS.shedListsQueueShare < LIMITS.shedReadsQueueShare, "the lowest class is shed first");
  assert(LIMITS.shedReadsQueueShare < 1, "reads are shed before the appender refuses writes");
  assert(LIMITS.shedWritesMs >= LIMITS.appendTimeoutMs, "a write is not refused while it can be in time");
  assert(
    (fullRetrySeconds + retrySpreadSeconds) * 1_000 < LIMITS.graceMs,
    "a refused client is back within its grace",
  );
  assert(
    (switchedOffRetrySeconds + retrySpreadSeconds) * 1_000 < ttlMs,
    "heartbeats switched on again are back within the TTL",
  );
  assert(2 * LIMITS.judgeMs < LIMITS.switchEffectMs, "a decision takes effect in time");
}
assertRelations();
