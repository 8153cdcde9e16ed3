/**
 * Whether the end of a log was proven since the server started. A server that lost power may come back with an older state of a log, and
 * nothing in the log tells. Rule: the proof is kept in the server's memory, so it goes when the server goes, and whoever appends looks
 * for it first.
 */
import type { LogId } from "../core/commands.ts";
import { PROVEN_STREAM, provenSubject } from "../wire/subjects.ts";
import { parseJetStreamAnswer, type Connection } from "./connection.ts";
import { NO_MESSAGE_FOUND } from "./messages.ts";
import type { Done } from "./port.ts";
import { STREAM_NOT_FOUND } from "./streams.ts";

/** Logs of a region that came one after another: proofs of the older ones mean nothing any more. */
const PROOFS_MAX = 64;

export async function isProven(
  connection: Connection,
  logId: LogId,
): Promise<Done<{ readonly proven: boolean }>> {
  const which = { last_by_subj: provenSubject(logId) };
  const found = await connection.api(`STREAM.MSG.GET.${PROVEN_STREAM}`, which);
  if (found.ok) return { ok: true, proven: true };
  if (found.code === NO_MESSAGE_FOUND || found.code === STREAM_NOT_FOUND) return { ok: true, proven: false };
  return { ok: false, reason: "unavailable", detail: found.detail };
}

/** Idempotent. */
export async function markProven(
  connection: Connection,
  logId: LogId,
  replicas: number,
): Promise<Done<object>> {
  const created = await connection.api(`STREAM.CREATE.${PROVEN_STREAM}`, {
    name: PROVEN_STREAM,
    description: "rollcall: logs whose end was proven since this server started",
    subjects: [provenSubject("*")],
    storage: "memory",
    retention: "limits",
    discard: "old",
    max_msgs: PROOFS_MAX,
    max_msgs_per_subject: 1,
    num_replicas: replicas,
  });
  if (!created.ok) return { ok: false, reason: "unavailable", detail: created.detail };
  const sent = await connection.request(provenSubject(logId), Buffer.from("proven"));
  const ack = sent.ok ? parseJetStreamAnswer<object>(sent.value) : sent;
  return ack.ok ? { ok: true } : { ok: false, reason: "unavailable", detail: ack.detail };
}
