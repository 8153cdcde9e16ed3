/**
 * The seals of copies on NATS, in a stream of their own. Rule: it is on disk and has one message for each copy, which takes the place of the
 * one before only if that is still the one that was read; so of several nodes that seal at once the latest decision stays.
 */
import { headers } from "nats";
import type { Region } from "../core/commands.ts";
import { laterOf, parseSeal, sealValue } from "../core/seal.ts";
import type { Seal } from "../core/seal.ts";
import { SEALS_STREAM, sealSubject } from "../wire/subjects.ts";
import { parseJetStreamAnswer, type Connection } from "./connection.ts";
import { NO_MESSAGE_FOUND } from "./messages.ts";
import type { Done } from "./port.ts";
import { STREAM_NOT_FOUND } from "./streams.ts";

interface Stored {
  readonly seal: Seal | undefined;
  /** 0 where there is none. */
  readonly sequence: number;
}

/** The seal of the copy of the log of `origin`. */
export async function storedSeal(connection: Connection, origin: Region): Promise<Done<Stored>> {
  const which = { last_by_subj: sealSubject(origin) };
  const found = await connection.api<{ message: { seq: number; data?: string } }>(
    `STREAM.MSG.GET.${SEALS_STREAM}`,
    which,
  );
  if (!found.ok && (found.code === STREAM_NOT_FOUND || found.code === NO_MESSAGE_FOUND))
    return { ok: true, seal: undefined, sequence: 0 };
  if (!found.ok) return { ok: false, reason: "unavailable", detail: found.detail };
  const { seq: sequence, data = "" } = found.value.message;
  const text = Buffer.from(data, "base64").toString();
  const seal = parseSeal(text);
  if (seal === undefined)
    return { ok: false, reason: "wrong-shape", detail: `message ${sequence} of ${SEALS_STREAM} is no seal` };
  return { ok: true, seal, sequence };
}

/** Stores the seal unless a later one is there. Resolves to the one that stands. */
export async function storeSeal(
  connection: Connection,
  origin: Region,
  next: Seal,
  replicas: number,
): Promise<Done<{ readonly sealed: Seal }>> {
  const before = await storedSeal(connection, origin);
  if (!before.ok) return before;
  const sealed = laterOf(origin, next, before.seal);
  if (sealed !== next) return { ok: true, sealed };
  const created = await connection.api(`STREAM.CREATE.${SEALS_STREAM}`, {
    name: SEALS_STREAM,
    description: "rollcall: what copies take of logs whose regions are succeeded",
    subjects: [sealSubject("*")],
    storage: "file",
    retention: "limits",
    discard: "old",
    max_msgs_per_subject: 1,
    num_replicas: replicas,
  });
  if (!created.ok) return { ok: false, reason: "unavailable", detail: created.detail };
  const heads = headers();
  heads.set("Nats-Expected-Last-Subject-Sequence", String(before.sequence));
  const sent = await connection.request(sealSubject(origin), Buffer.from(sealValue(sealed)), heads);
  const ack = sent.ok ? parseJetStreamAnswer<object>(sent.value) : sent;
  return ack.ok ? { ok: true, sealed } : { ok: false, reason: "unavailable", detail: ack.detail };
}
