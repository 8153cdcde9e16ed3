/**
 * A copy of a peer's log on NATS JetStream.
 * Rule: an entry lands directly after its fence or not at all, with the origin's position and identity in its headers.
 */
import { headers } from "nats";
import type { LogId, Position, Region } from "../core/commands.ts";
import { forbids } from "../core/seal.ts";
import type { Seal } from "../core/seal.ts";
import { HEADER_LOG, HEADER_POSITION } from "../wire/subjects.ts";
import {
  append,
  planWithin,
  planWithout,
  rejected,
  startReader,
  type Destination,
  type Shared,
} from "./nats-shared.ts";
import { copyEntry, purge, storedMessage, storedProvenance } from "./messages.ts";
import type * as port from "./port.ts";
import type { Plan, Progress, Source } from "./reader.ts";
import { storeSeal, storedSeal } from "./seals.ts";
import * as streams from "./streams.ts";

/** A copy as its handle was opened. */
interface Opened {
  readonly origin: Region;
  /** Read first: what is sealed afterwards is another making. */
  readonly making: string;
  readonly sealed: Seal | undefined;
  readonly replicas: number;
}

export class NatsCopyLog implements port.CopyLog {
  readonly region: Region;
  sealed: Seal | undefined;
  readonly #shared: Shared;
  readonly #replicas: number;
  readonly #kind: streams.StreamKind;
  /** Which making of the copy appends are meant for: they get into no other. */
  #making: string;

  constructor(shared: Shared, { origin, making, sealed, replicas }: Opened) {
    this.region = origin;
    this.sealed = sealed;
    this.#replicas = replicas;
    this.#shared = shared;
    this.#kind = streams.copyKind(origin);
    this.#making = making;
  }

  async extent(): ReturnType<port.CopyLog["extent"]> {
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (!finding.ok) return finding;
    const { messages, first_seq, last_seq, bytes } = finding.found.info.state;
    if (messages === 0) return { ok: true, extent: { logId: "", first: 1, head: 0, bytes } };
    const [first, last] = await Promise.all([
      this.#stored({ seq: first_seq }),
      this.#stored({ seq: last_seq }),
    ]);
    if (!first.ok) return first;
    if (!last.ok) return last;
    const { logId, position } = last.provenance;
    return { ok: true, extent: { logId, first: first.provenance.position, head: position, bytes } };
  }

  async checkpoint(): ReturnType<port.CopyLog["checkpoint"]> {
    // The last of all: what a reset left is of the making before.
    const last = await this.#stored({ last_by_subj: ">" });
    if (last.ok) return { ok: true, ...last.provenance };
    if (last.reason !== "absent") return last;
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (!finding.ok) return finding;
    const { messages, last_seq } = finding.found.info.state;
    if (messages > 0)
      return { ok: false, reason: "unavailable", detail: "written to at this moment, ask again" };
    return { ok: true, logId: "", position: 0, sequence: last_seq };
  }

  append(entry: port.Entry, fence: number): Promise<port.AppendResult> {
    const forbidden = forbids(this.sealed, entry.logId, entry.position);
    if (forbidden !== "") return Promise.resolve(rejected(forbidden));
    const heads = headers();
    heads.set("Nats-Expected-Last-Sequence", String(fence));
    heads.set(HEADER_POSITION, String(entry.position));
    heads.set(HEADER_LOG, entry.logId);
    const to: Destination = {
      stream: this.#kind.stream,
      subject: this.#kind.subject(this.#making),
      unheard: () => undefined,
    };
    return append(this.#shared.connection, to, entry.bytes, heads);
  }

  read(from: Position, handlers: port.ReadHandlers): port.Reader {
    const source: Source = {
      stream: this.#kind.stream,
      plan: (progress) => this.#plan(progress),
      decode: copyEntry,
    };
    return startReader(this.#shared, source, from, handlers);
  }

  async entry(position: Position): ReturnType<port.CopyLog["entry"]> {
    const placed = await this.#place(position);
    if (!placed.ok) return placed;
    const { sequence } = placed;
    // The server takes a sequence below 1 for a mistake.
    if (sequence < 1) return { ok: true, entry: undefined };
    const stored = await storedMessage(this.#shared.connection, this.#kind, { seq: sequence });
    if (!stored.ok) return stored.reason === "absent" ? { ok: true, entry: undefined } : stored;
    const entry = copyEntry(stored.message, sequence);
    if (typeof entry === "string") return { ok: false, reason: "wrong-shape", detail: entry };
    return { ok: true, entry: entry.position === position ? entry : undefined };
  }

  async truncate(below: Position, logId: LogId): ReturnType<port.CopyLog["truncate"]> {
    const placed = await this.#place(below);
    if (!placed.ok) return placed;
    if (placed.logId !== "" && placed.logId !== logId)
      return { ok: false, reason: "absent", detail: `${this.#kind.stream} is not of log ${logId} any more` };
    // Should the copy be begun again meanwhile, what comes next has higher sequences.
    return purge(this.#shared.connection, this.#kind, Math.min(placed.sequence, placed.last));
  }

  /** First the copy becomes another making: nothing that was under way gets in once entries are gone. */
  async reset(through: number): ReturnType<port.CopyLog["reset"]> {
    const { connection } = this.#shared;
    const remade = await this.#remake();
    if (!remade.ok) return remade;
    // Somebody may have sealed the copy just before.
    const stored = await storedSeal(connection, this.region);
    if (!stored.ok) return stored;
    this.sealed = stored.seal;
    this.#making = remade.making;
    return purge(connection, this.#kind, through + 1);
  }

  /** First the seal is stored, so that whoever opens the copy from then on knows it; then who opened it before is shut out. */
  async seal(next: Seal): ReturnType<port.CopyLog["seal"]> {
    const stored = await storeSeal(this.#shared.connection, this.region, next, this.#replicas);
    if (!stored.ok) return stored;
    const remade = await this.#remake();
    if (!remade.ok) return remade;
    this.sealed = stored.sealed;
    this.#making = remade.making;
    return stored;
  }

  /** Nothing meant for the copy as it was gets in any more. */
  async #remake(): Promise<port.Done<{ readonly making: string }>> {
    const { connection } = this.#shared;
    const finding = await streams.findStream(connection, this.#kind);
    if (!finding.ok) return finding;
    const making = this.#kind.mint();
    const remade = await streams.identifyStream(connection, this.#kind, finding.found, making, 0);
    return remade.ok ? { ok: true, making } : remade;
  }

  /**
   * Where in the stream the entry at `position` is if it is held, where the last one is, and of which log they are; "" while the copy is
   * empty. A copy has no gaps, so one message tells.
   */
  async #place(
    position: Position,
  ): Promise<port.Done<{ readonly sequence: number; readonly last: number; readonly logId: LogId }>> {
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (!finding.ok) return finding;
    const { messages, first_seq, last_seq } = finding.found.info.state;
    if (messages === 0) return { ok: true, sequence: 0, last: 0, logId: "" };
    const first = await this.#stored({ seq: first_seq });
    if (!first.ok) return first;
    const { logId, position: oldest } = first.provenance;
    return { ok: true, sequence: first_seq + position - oldest, last: last_seq, logId };
  }

  #stored(which: { readonly seq: number } | { readonly last_by_subj: string }) {
    return storedProvenance(this.#shared.connection, this.#kind, which);
  }

  /** A copy has no gaps, so one message tells where in the stream every origin position is. */
  async #plan(progress: Progress): Promise<Plan> {
    const { logId, delivered } = progress;
    const finding = await streams.findStream(this.#shared.connection, this.#kind);
    if (!finding.ok) return planWithout(finding);
    const { messages, first_seq, last_seq } = finding.found.info.state;
    if (messages === 0) {
      return delivered > 0
        ? { kind: "broken", reason: "identity-changed", detail: `empty, was read up to ${delivered}` }
        : { kind: "start", sequence: last_seq + 1, again: false };
    }
    const first = await this.#stored({ seq: first_seq });
    if (!first.ok && first.reason === "wrong-shape")
      return { kind: "broken", reason: "malformed", detail: first.detail };
    if (!first.ok) return { kind: "wait", detail: first.detail };
    const { position, logId: actual } = first.provenance;
    const head = position + last_seq - first_seq;
    if (logId !== "" && logId !== actual)
      return {
        kind: "broken",
        reason: "identity-changed",
        detail: `copy of log ${logId} is now of ${actual}`,
      };
    return planWithin(progress, { first: position, head, offset: first_seq - position });
  }
}
