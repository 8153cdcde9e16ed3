/**
 * Gives the log in a stream up and begins another one in it, though many may want to at the same time.
 * Rule: the stream stays, and the new log begins after the old one's last message: nats-server 2.9.10 loses acknowledged messages of a
 * stream that is created while one of its name is being deleted. First the stream changes its identity, and with it its subject, so that
 * nothing more gets into the old log; then a seal is appended, behind all that was under way; the new log begins after the seal. Whoever
 * finds a renewal begun can finish it.
 *
 * A stream cannot be updated "if it is still the one I mean", so whoever begins first claims to be the only one: the first message of an id
 * within the server's duplicate window is the claim, and it lapses with the window should the claimant die.
 */
import { headers } from "nats";
import type { LogId } from "../core/commands.ts";
import { LIMITS } from "../core/limits.ts";
import { RENEWALS_STREAM, RENEWALS_SUBJECT } from "../wire/subjects.ts";
import { pause, parseJetStreamAnswer, type Connection } from "./connection.ts";
import { purge } from "./messages.ts";
import type { Done } from "./port.ts";
import { markProof } from "./proof.ts";
import { identifyStream, look, type Found, type Sight, type StreamKind } from "./streams.ts";

const CLAIM_LAPSES_MS = 30_000;
const NANOS_PER_MS = 1_000_000;
const CLAIMS_MAX = 64;
const POLL_MS = 50;
const SEAL = Buffer.from("sealed");

/** Makes sure that the stream's log is not `replaced` any more. */
export async function renew(
  connection: Connection,
  kind: StreamKind,
  replaced: LogId,
  replicas: number,
): Promise<Done<object>> {
  const sight = await look(connection, kind);
  if (!is(sight, replaced)) return missing(sight);
  const claim = await claimRenewal(connection, `${kind.stream} ${replaced}`, replicas);
  if (!claim.ok) return claim;
  return claim.first ? begin(connection, kind, replaced, replicas) : untilChanged(connection, kind, replaced);
}

/** Finishes a renewal that was begun, if there is one. */
export async function finishRenewal(
  connection: Connection,
  kind: StreamKind,
  replicas: number,
): Promise<Done<object>> {
  const sight = await look(connection, kind);
  if (!sight.ok) return missing(sight);
  return sight.renewing ? finish(connection, kind, sight.found, replicas) : { ok: true };
}

function is(sight: Sight, logId: LogId): boolean {
  return sight.ok && sight.found.logId === logId;
}

/** Ok if there is no such stream: nobody can do anything with the log that was in it. */
function missing(sight: Sight): Done<object> {
  return sight.ok || sight.reason === "absent" ? { ok: true } : sight;
}

async function claimRenewal(
  connection: Connection,
  id: string,
  replicas: number,
): Promise<Done<{ readonly first: boolean }>> {
  const created = await connection.api(`STREAM.CREATE.${RENEWALS_STREAM}`, {
    name: RENEWALS_STREAM,
    description: "rollcall: who renews which log",
    subjects: [RENEWALS_SUBJECT],
    storage: "memory",
    retention: "limits",
    discard: "old",
    max_msgs: CLAIMS_MAX,
    duplicate_window: CLAIM_LAPSES_MS * NANOS_PER_MS,
    num_replicas: replicas,
  });
  if (!created.ok) return { ok: false, reason: "unavailable", detail: created.detail };
  const sent = await publish(connection, RENEWALS_SUBJECT, id);
  return sent.ok ? { ok: true, first: !sent.duplicate } : sent;
}

async function publish(
  connection: Connection,
  subject: string,
  messageId: string,
): Promise<Done<{ readonly sequence: number; readonly duplicate: boolean }>> {
  const heads = headers();
  heads.set("Nats-Msg-Id", messageId);
  const sent = await connection.request(subject, SEAL, heads);
  const ack = sent.ok ? parseJetStreamAnswer<{ seq: number; duplicate?: boolean }>(sent.value) : sent;
  if (!ack.ok) return { ok: false, reason: "unavailable", detail: ack.detail };
  return { ok: true, sequence: ack.value.seq, duplicate: ack.value.duplicate === true };
}

/** Looks once more before it changes anything: the claim may be younger than a renewal that is over. */
async function begin(
  connection: Connection,
  kind: StreamKind,
  replaced: LogId,
  replicas: number,
): Promise<Done<object>> {
  const sight = await look(connection, kind);
  if (!sight.ok || !is(sight, replaced)) return missing(sight);
  // Room for the seal. Nobody else may do this: a server's answer can tell the identity as it was and the state as it is after a renewal.
  const purged = await purge(connection, kind, sight.found.info.state.last_seq);
  if (!purged.ok) return purged;
  const begun = await identifyStream(connection, kind, sight.found, kind.mint(), undefined);
  return begun.ok ? finish(connection, kind, begun.found, replicas) : begun;
}

/** May be done by several at a time: the seal is there once, and all they write is alike. */
async function finish(
  connection: Connection,
  kind: StreamKind,
  found: Found,
  replicas: number,
): Promise<Done<object>> {
  const { logId } = found;
  const sealed = await publish(connection, kind.subject(logId), `${logId} sealed`);
  if (!sealed.ok) return sealed;
  const after = sealed.sequence;
  const finished = await identifyStream(connection, kind, found, logId, after);
  if (!finished.ok) return finished;
  const proven = await markProof(connection, logId, "proven", replicas);
  if (!proven.ok) return proven;
  await endReaders(connection, kind);
  return purge(connection, kind, after);
}

/** Readers of the old log look at the stream again when their consumer is gone. Best effort: the next entry tells them too. */
async function endReaders(connection: Connection, { stream }: StreamKind): Promise<void> {
  const named = await connection.api<{ consumers: string[] | null }>(`CONSUMER.NAMES.${stream}`, {});
  const consumers = named.ok ? (named.value.consumers ?? []) : [];
  await Promise.all(consumers.map((name) => connection.api(`CONSUMER.DELETE.${stream}.${name}`, {})));
}

async function untilChanged(
  connection: Connection,
  kind: StreamKind,
  replaced: LogId,
): Promise<Done<object>> {
  for (let waitedMs = 0; waitedMs < LIMITS.appendTimeoutMs; waitedMs += POLL_MS) {
    const sight = await look(connection, kind);
    if (!is(sight, replaced)) return missing(sight);
    await pause(POLL_MS);
  }
  return { ok: false, reason: "unavailable", detail: `${kind.stream}: somebody else is renewing it` };
}
