/**
 * A reader in every region looks at the open sessions of the ledger, up to 1,000 at a time, again and again, all through the fault.
 * Rule (invariants 3 and 6): judged is only what that region has shown online before and whose heartbeats are accepted. Offline in a
 * region that says it is in touch is a false offline; an epoch or a version that goes back is counted.
 */
import { performance } from "node:perf_hooks";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import type { Presence, RegionApi } from "../../infra/demo/api.ts";
import type { Entry, Ledger } from "./ledger.ts";
import { repeat } from "./repeat.ts";

/** A session without an accepted heartbeat for this many of their intervals is not judged: below every TTL a row uses. */
const ACCEPTED_WITHIN_BEATS = 3;
/** Of one look; the next one is at those that follow. */
const USERS_MAX = 1_000;
const EXAMPLES_KEPT = 5;

const EpochShape = Compile(Type.Object({ generation: Type.Integer(), count: Type.Integer() }));

interface Seen {
  readonly epoch: readonly [generation: number, count: number];
  readonly version: number;
}

export interface ReadersOptions {
  /** Between two looks of one region's reader. */
  readonly everyMs: number;
  /** Between two heartbeats of a session. */
  readonly heartbeatMs: number;
}

export class Readers {
  judged = 0;
  answers = 0;
  falseOffline = 0;
  /** Offline in a region that says it is not in touch. */
  staleOffline = 0;
  lowerEpochs = 0;
  /** Same epoch, lower version. */
  regressions = 0;
  /** The first findings that must not be, in words. */
  readonly examples: string[] = [];
  readonly #apis: ReadonlyMap<string, RegionApi>;
  readonly #ledger: Ledger;
  readonly #everyMs: number;
  readonly #acceptedWithinMs: number;
  /** Per region: where among the open sessions its next look begins. */
  readonly #next = new Map<string, number>();
  readonly #stopping = new AbortController();
  /** Region and session. */
  readonly #shown = new Set<string>();
  /** Region and user. */
  readonly #seen = new Map<string, Seen>();
  #loops: Promise<void>[] = [];

  constructor(
    apis: ReadonlyMap<string, RegionApi>,
    ledger: Ledger,
    { everyMs, heartbeatMs }: ReadersOptions,
  ) {
    this.#apis = apis;
    this.#ledger = ledger;
    this.#everyMs = everyMs;
    this.#acceptedWithinMs = ACCEPTED_WITHIN_BEATS * heartbeatMs;
  }

  start(): void {
    this.#loops = [...this.#apis].map(([region, api]) =>
      repeat(this.#stopping.signal, this.#everyMs, () => this.#read(region, api)),
    );
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#loops);
  }

  async #read(region: string, api: RegionApi): Promise<void> {
    const open = this.#ledger.open();
    const from = this.#next.get(region) ?? 0;
    const asked = open.slice(from, from + USERS_MAX);
    this.#next.set(region, from + asked.length < open.length ? from + asked.length : 0);
    if (asked.length === 0) return;
    const answer = await api.presences(asked.map(({ user }) => user));
    if (!answer.ok) return; // no answer is no statement
    this.answers += 1;
    answer.value.forEach((presence, i) => {
      const entry = asked[i];
      if (entry !== undefined) this.#look(region, entry, presence);
    });
  }

  #look(region: string, entry: Entry, presence: Presence): void {
    this.#compare(region, entry, presence);
    const { status, freshness } = presence;
    const key = `${region} ${entry.session}`;
    if (status !== "offline" && status !== "unknown") this.#shown.add(key);
    const fresh = performance.now() - entry.acceptedMs <= this.#acceptedWithinMs;
    if (entry.state !== "open" || !fresh || !this.#shown.has(key)) return;
    this.judged += 1;
    if (status !== "offline") return;
    if (freshness === "live") {
      this.falseOffline += 1;
      const read = JSON.stringify(presence);
      this.#example(
        `${entry.user} (connected to ${entry.region}) read as offline, live, at ${region}: ${read}`,
      );
    } else this.staleOffline += 1;
  }

  #compare(region: string, { user }: Entry, { home, epoch, version }: Presence): void {
    if (home === undefined || !EpochShape.Check(epoch)) return;
    const key = `${region} ${user}`;
    const last = this.#seen.get(key);
    const next: Seen = { epoch: [epoch.generation, epoch.count], version };
    const order = last === undefined ? 1 : compareEpochs(next.epoch, last.epoch);
    if (order < 0) {
      this.lowerEpochs += 1;
      this.#example(`${user} at ${region}: epoch ${last?.epoch.join(".")} became ${next.epoch.join(".")}`);
    } else if (last !== undefined && order === 0 && version < last.version) {
      this.regressions += 1;
      this.#example(`${user} at ${region}: version ${last.version} became ${version}`);
    }
    this.#seen.set(key, next);
  }

  #example(text: string): void {
    if (this.examples.length < EXAMPLES_KEPT) this.examples.push(text);
  }
}

function compareEpochs(a: Seen["epoch"], b: Seen["epoch"]): number {
  return a[0] - b[0] || a[1] - b[1];
}
