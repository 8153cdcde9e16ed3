/**
 * What the log of this region said beyond the place from where another region went on, while that stood for it: kept in the region's store,
 * frame by frame, before the log is begun again; then gone through, and what may still be said is said again (`core/lost-end.ts`). Rule: the
 * log is not given up before its end is kept, and what is kept says which log that was; going through it may be repeated harmlessly.
 */
import { changedFrom } from "../../replicator/core/authority.ts";
import type { ClientCommand, Command, Position, Region } from "../../replicator/core/commands.ts";
import { hash32 } from "../../replicator/core/homing.ts";
import { LastWords, judge, saidBy, userOf } from "../../replicator/core/lost-end.ts";
import type { Said, Since } from "../../replicator/core/lost-end.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { successionOf } from "../../replicator/core/succession.ts";
import type { OriginLog, SnapshotStore, StoredSnapshot } from "../../replicator/log/port.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Logger } from "../../replicator/runtime/logger.ts";
import { pause } from "../../replicator/runtime/pause.ts";
import { decodeFrame } from "../../replicator/wire/codec.ts";
import type { AppendOutcome } from "./appender.ts";
import { FrameSplitter, framed } from "./frame-pieces.ts";
import { formatEndLabel, newestEnd } from "./lost-end-label.ts";
import type { EndLabel, KeptEnd } from "./lost-end-label.ts";
import type { Aside } from "./own-log.ts";
import { Returned, noCounts, parseReport } from "./returned.ts";
import type { ReturnedReport } from "./returned.ts";

export interface LostEndsOptions {
  readonly region: Region;
  readonly node: string;
  readonly store: SnapshotStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The replica of the moment. */
  readonly replica: () => Replica;
  /** The session as it was changed last, if it has a lease. */
  readonly alive: Since["alive"];
  /** On their way to the users' homes. */
  readonly write: (commands: readonly ClientCommand[]) => Promise<AppendOutcome>;
  /** Sessions that only a lease has are opened again soon. */
  readonly reconcile: () => void;
}

/** So many things are held in memory at a time. */
const AT_ONCE_MAX = 50_000;
const WRITES_MAX = 500;
const AGAIN_MS = 500;
/** So long sessions have to be opened again by their leases, at the other nodes too, before it is told which were not. */
const REOPENED_MS = 5_000;

export class LostEnds implements Aside {
  readonly #options: LostEndsOptions;
  #going: Promise<void> | undefined;
  #stopped = false;

  constructor(options: LostEndsOptions) {
    this.#options = options;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#going;
  }

  async keep(log: OriginLog, generation: number): Promise<{ readonly isOld: boolean } | string> {
    const { region, node, clock, logger, replica } = this.#options;
    const stored = await this.#list();
    if (typeof stored === "string") return stored;
    const kept = newestEnd(stored, "lost-end", region, generation);
    if (kept !== undefined) return { isOld: kept.label.logId === log.logId };
    const answer = await log.extent();
    if (!answer.ok) return answer.detail;
    const { first, head } = answer.extent;
    const base = successionOf(replica().folds, region)?.base;
    const after = Math.max(base?.logId === log.logId ? base.position : 0, first - 1);
    const label: EndLabel = {
      kind: "lost-end",
      of: region,
      generation,
      logId: log.logId,
      after: Math.min(after, head),
      through: head,
      atMs: clock().wallMs,
      changedFrom: changedFrom(replica().folds, region),
    };
    const name = `lost-end-${region}-${generation}-${node}`.replaceAll(/[^A-Za-z0-9_-]/g, "_");
    const fault = await this.#store(name, label, entriesOf(log, label));
    if (fault !== undefined) return `the end of log ${log.logId} could not be kept: ${fault}`;
    logger.warn({ event: "lost-end-kept", log: region, logId: log.logId, after: label.after, through: head });
    await this.#removeOthers(stored, generation);
    return { isOld: true };
  }

  /** The log is begun, or used again: goes through what is kept and was not gone through. */
  begun(): void {
    this.#going ??= this.#go().finally(() => {
      this.#going = undefined;
    });
  }

  /** What became of the newest; nothing where none was ever kept. */
  async report(): Promise<ReturnedReport | undefined | string> {
    const { region, store } = this.#options;
    const stored = await this.#list();
    if (typeof stored === "string") return stored;
    const kept = newestEnd(stored, "lost-end", region);
    if (kept === undefined) return undefined;
    const { generation, atMs: sinceMs, after, through } = kept.label;
    const done = newestEnd(stored, "returned", region, generation);
    if (done === undefined)
      return {
        finished: false,
        generation,
        sinceMs,
        frames: through - after,
        users: 0,
        counts: noCounts(),
        listed: [],
      };
    const pieces: Uint8Array[] = [];
    const read = await store.read(done.stored.name, (piece) => void pieces.push(piece.slice()));
    if (!read.ok) return read.detail;
    return parseReport(Buffer.concat(pieces).toString()) ?? `${done.stored.name} cannot be read`;
  }

  async #go(): Promise<void> {
    const { region, logger } = this.#options;
    while (!this.#stopped) {
      const stored = await this.#list();
      if (typeof stored !== "string") {
        const kept = newestEnd(stored, "lost-end", region);
        const isDone =
          kept === undefined || newestEnd(stored, "returned", region, kept.label.generation) !== undefined;
        if (isDone) return this.#options.reconcile();
        const fault = await this.#goThrough(kept);
        if (fault === undefined) return;
        logger.warn({ event: "lost-end-waits", log: region, detail: fault });
      }
      await pause(AGAIN_MS);
    }
  }

  /** What stood in the way, if something did. */
  async #goThrough(kept: KeptEnd): Promise<string | undefined> {
    const { region, clock, logger } = this.#options;
    const { label } = kept;
    let words = 0;
    const counted = await this.#read(kept, () => (words += 1));
    if (counted !== undefined) return counted;
    const parts = Math.max(1, Math.ceil(words / AT_ONCE_MAX));
    const returned = new Returned();
    for (let part = 0; part < parts; part++) {
      const last = new LastWords();
      const read = await this.#read(kept, (said) => {
        if (hash32(userOf(said)) % parts === part) last.add(said);
      });
      const fault = read ?? (await this.#sayAgain([...last.all], label, returned));
      if (fault !== undefined) return fault;
      returned.nextUsers();
    }
    const { users, counts, listed } = returned;
    const { generation, atMs: sinceMs, after, through } = label;
    const report: ReturnedReport = {
      finished: true,
      generation,
      sinceMs,
      frames: through - after,
      users,
      counts,
      listed,
    };
    const name = kept.stored.name.replace("lost-end", "returned");
    const text = Buffer.from(JSON.stringify(report));
    const stored = await this.#store(name, { ...label, kind: "returned", atMs: clock().wallMs }, only(text));
    if (stored === undefined) logger.warn({ event: "returned", log: region, users, counts });
    return stored;
  }

  /** Sessions come last: their leases open most of them again meanwhile. */
  async #sayAgain(said: readonly Said[], label: EndLabel, returned: Returned): Promise<string | undefined> {
    const first = await this.#write(
      said.filter((one) => !isSession(one)),
      label,
      returned,
    );
    if (first !== undefined) return first;
    this.#options.reconcile();
    const sessions = said.filter(isSession);
    if (sessions.length > 0) await pause(REOPENED_MS);
    return this.#write(sessions, label, returned);
  }

  async #write(said: readonly Said[], label: EndLabel, returned: Returned): Promise<string | undefined> {
    const { region, replica, alive, write, clock } = this.#options;
    for (let at = 0; at < said.length; at += WRITES_MAX) {
      const since: Since = {
        region,
        replica: replica(),
        alive,
        unchangedBelow: label.changedFrom,
        wallMs: clock().wallMs,
      };
      const batch = said.slice(at, at + WRITES_MAX).map((one) => ({ one, verdict: judge(one, since) }));
      const commands = batch.flatMap(({ verdict }) => verdict.command ?? []);
      const outcome = commands.length === 0 ? undefined : await write(commands);
      if (outcome?.ok === false) return outcome.detail;
      for (const { one, verdict } of batch) returned.add(one, verdict);
      if (this.#stopped) return "the node stops";
    }
    return undefined;
  }

  async #read({ stored }: KeptEnd, take: (said: Said) => void): Promise<string | undefined> {
    const splitter = new FrameSplitter();
    let fault: string | undefined;
    const read = await this.#options.store.read(stored.name, (piece) => {
      for (const bytes of splitter.push(piece)) {
        const decoded = decodeFrame(bytes);
        if (!decoded.ok) fault ??= `a kept frame cannot be read: ${decoded.detail}`;
        else for (const command of decoded.frame.commands) takeSaid(command, take);
      }
    });
    return read.ok ? fault : read.detail;
  }

  async #list(): Promise<readonly StoredSnapshot[] | string> {
    const listed = await this.#options.store.list();
    return listed.ok ? listed.snapshots : listed.detail;
  }

  /** What stood in the way of storing all of it. */
  async #store(
    name: string,
    label: EndLabel,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<string | undefined> {
    try {
      const written = await this.#options.store.write(name, formatEndLabel(label), chunks);
      return written.ok ? undefined : written.detail;
    } catch (error) {
      if (error instanceof Unreadable) return error.message;
      throw error;
    }
  }

  async #removeOthers(stored: readonly StoredSnapshot[], generation: number): Promise<void> {
    const { region, store } = this.#options;
    for (const kind of ["lost-end", "returned"] as const) {
      const old = newestEnd(stored, kind, region);
      if (old !== undefined && old.label.generation < generation) await store.remove(old.stored.name);
    }
  }
}

/** The log cannot be read to where it ended: nothing of it is kept then. */
class Unreadable extends Error {}

async function* entriesOf(
  log: OriginLog,
  { after, through }: { after: Position; through: Position },
): AsyncGenerator<Uint8Array> {
  for (let position = after + 1; position <= through; position++) {
    const answer = await log.entry(position);
    if (!answer.ok) throw new Unreadable(answer.detail);
    if (answer.entry?.logId !== log.logId) throw new Unreadable(`frame ${position} is not there any more`);
    yield framed(answer.entry.bytes);
  }
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function isSession({ kind }: Said): boolean {
  return kind === "open" || kind === "update";
}

function takeSaid(command: Command, take: (said: Said) => void): void {
  const said = saidBy(command);
  if (said !== undefined) take(said);
}
