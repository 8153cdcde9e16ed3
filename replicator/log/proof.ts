/**
 * What is known of the end of a log since the server started. A server that lost power may come back with an older state of a log, and
 * nothing in the log tells. Rule: it is kept in the server's memory, so it goes when the server goes, and whoever appends looks for it
 * first.
 */
import type { LogId } from "../core/commands.ts";
import { PROOFS_STREAM, proofSubject } from "../wire/subjects.ts";
import { parseJetStreamAnswer, type Connection } from "./connection.ts";
import { NO_MESSAGE_FOUND } from "./messages.ts";
import type { Done, Proof } from "./port.ts";
import { STREAM_NOT_FOUND } from "./streams.ts";

/** Logs of a region that came one after another, two messages each: what is known of the older ones means nothing any more. */
const PROOFS_MAX = 64;

export async function proofOf(
  connection: Connection,
  logId: LogId,
): Promise<Done<{ readonly proof: Proof }>> {
  for (const proof of ["proven", "compared"] as const) {
    const which = { last_by_subj: proofSubject(logId, proof) };
    const found = await connection.api(`STREAM.MSG.GET.${PROOFS_STREAM}`, which);
    if (found.ok) return { ok: true, proof };
    if (found.code === STREAM_NOT_FOUND) break;
    if (found.code !== NO_MESSAGE_FOUND) return { ok: false, reason: "unavailable", detail: found.detail };
  }
  return { ok: true, proof: "none" };
}

/** Idempotent. */
export async function markProof(
  connection: Connection,
  logId: LogId,
  proof: Exclude<Proof, "none">,
  replicas: number,
): Promise<Done<object>> {
  const created = await connection.api(`STREAM.CREATE.${PROOFS_STREAM}`, {
    name: PROOFS_STREAM,
    description: "rollcall: what is known of the logs' ends since this server started",
    subjects: [proofSubject("*", "*")],
    storage: "memory",
    retention: "limits",
    discard: "old",
    max_msgs: PROOFS_MAX,
    max_msgs_per_subject: 1,
    num_replicas: replicas,
  });
  if (!created.ok) return { ok: false, reason: "unavailable", detail: created.detail };
  const sent = await connection.request(proofSubject(logId, proof), Buffer.from(proof));
  const ack = sent.ok ? parseJetStreamAnswer<object>(sent.value) : sent;
  return ack.ok ? { ok: true } : { ok: false, reason: "unavailable", detail: ack.detail };
}
