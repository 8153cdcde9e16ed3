/**
 * The reads of users: from here as soon as the read options are met, or from a node of another region that is sooner (decisions/0020). Rule:
 * whom to ask is chosen by what a read here shows, so that the choice tells nothing of the invisible; and who answers in this region's
 * place has all that is applied here, so that no answer goes back behind this replica's own.
 */
import type { Region, UserId } from "../../replicator/core/commands.ts";
import { mergeTokens } from "../../replicator/core/token.ts";
import type { Token } from "../../replicator/core/token.ts";
import { ConsistencyCheck, positions } from "./consistency.ts";
import type { ConsistencyOptions, Lack, Unsure } from "./consistency.ts";
import { freshnessOf } from "./describe.ts";
import type { ReadAnswer } from "./relay-messages.ts";
import type { Asked, Served } from "./relay.ts";
import type { Consistency, Outcome, PresenceView, Reading, ReadOptions } from "./service.ts";
import { howMet } from "./tally.ts";
import type { Tally } from "./tally.ts";

/** Asks nodes of these regions; `undefined` when none has answered in time. */
export type Elsewhere = (asked: Asked, regions: readonly Region[]) => Promise<Served | undefined>;

export interface ReadsOptions extends ConsistencyOptions {
  readonly presence: (user: UserId) => PresenceView;
  /** The logs of which more has to be folded before this replica can tell of the user. */
  readonly unsure: (user: UserId) => readonly Region[];
  readonly unsureOfAny: () => readonly Region[];
  readonly elsewhere: Elsewhere;
  readonly tally: Tally;
}

/** What is read of these users: here, or there where another region's node answers. */
export interface About<T> {
  readonly users: readonly UserId[];
  /** Who may have it besides the homes and the regions whose logs lack. */
  readonly whom?: readonly Region[];
  /** Goes there with the read; absent where the presences are all that is read. */
  readonly question?: unknown;
  readonly here: () => T;
  /** What of it cannot be told here yet. */
  readonly unsure: Unsure;
  /** `undefined` for an answer that cannot be read: it counts as none. `transitMs` is for how long it was on its way. */
  readonly there: (answer: ReadAnswer, transitMs: number) => T | undefined;
}

export interface ReadAbout<T> {
  readonly value: T;
  readonly consistency: Consistency;
  /** Of the replica that answered. */
  readonly applied: Token;
}

export class Reads {
  readonly #options: ReadsOptions;
  readonly #check: ConsistencyCheck;

  constructor(options: ReadsOptions) {
    this.#options = options;
    this.#check = new ConsistencyCheck(options);
  }

  /** Of what is not about single users: by this replica alone. */
  async consistency(options: ReadOptions): Promise<Outcome<Consistency>> {
    const met = await this.#check.meet(options, this.#options.unsureOfAny);
    if (met.ok) this.#count(met.value);
    return met;
  }

  /** The same of what these users' presence is, for another region's node or a write: it is no read of this region. */
  meet(options: ReadOptions, users: readonly UserId[] = []): Promise<Outcome<Consistency>> {
    return this.#check.meet(options, () => this.unsureOf(users));
  }

  /** Whether, of every region that was succeeded, what is folded here has gone over to the heir's log. */
  followsHeirs(): boolean {
    return this.#options.stoodFor().every(({ isFollowed }) => isFollowed);
  }

  /** Age of the oldest of the regions' newest watermarks; infinite before the first. */
  oldestMs(): number {
    const { regions, ageMs } = this.#options;
    return Math.max(...regions.map((region) => ageMs(region)));
  }

  async read(users: readonly UserId[], options: ReadOptions): Promise<Outcome<Reading>> {
    const met = await this.readAbout(this.#presences(users), options);
    if (!met.ok) return met;
    const { value, consistency, applied } = met.value;
    return { ok: true, value: { presences: value, consistency, applied } };
  }

  async readAbout<T>(about: About<T>, options: ReadOptions): Promise<Outcome<ReadAbout<T>>> {
    const read = await this.probe(about, options);
    if (read.ok) this.#count(read.value.consistency);
    return read;
  }

  /** The same for a read that counts with nobody's. */
  async probe<T>(about: About<T>, options: ReadOptions): Promise<Outcome<ReadAbout<T>>> {
    const { clock } = this.#options;
    const { unsure } = about;
    if (options.mode === "any") return this.#here(about, await this.#check.meet(options, unsure));
    const startedMs = clock().monoMs;
    const asking = new Asking((lack: Lack) => this.#ask(about, options.mode, startedMs, lack));
    const here = this.#check.meet(options, unsure, asking.begin);
    const first = await Promise.race([here, asking.served]);
    const isHere = "ok" in first && first.ok && first.value.satisfied;
    const served = "ok" in first ? (isHere ? undefined : await asking.done()) : first;
    return served === undefined ? this.#here(about, await here) : { ok: true, value: served };
  }

  #count(consistency: Consistency): void {
    const { tally, region } = this.#options;
    tally.reads[howMet(consistency, region)] += 1;
  }

  #presences(users: readonly UserId[]): About<readonly PresenceView[]> {
    const { presence, clock } = this.#options;
    return {
      users,
      here: () => users.map(presence),
      unsure: () => this.unsureOf(users),
      there: ({ presences }, transitMs) => presences.map((view) => aged(view, transitMs, clock().wallMs)),
    };
  }

  /** The logs of which more has to be folded before this replica can tell of them. */
  unsureOf(users: readonly UserId[]): readonly Region[] {
    return [...new Set(users.flatMap((user) => this.#options.unsure(user)))];
  }

  #here<T>(about: About<T>, met: Outcome<Consistency>): Outcome<ReadAbout<T>> {
    const { applied } = this.#options;
    if (!met.ok) return met;
    return { ok: true, value: { value: about.here(), consistency: met.value, applied: applied() } };
  }

  async #ask<T>(
    { users, whom: others = [], question, there }: About<T>,
    mode: Consistency["mode"],
    startedMs: number,
    { options, regions }: Lack,
  ): Promise<ReadAbout<T> | undefined> {
    const { region, clock, presence, applied, elsewhere } = this.#options;
    if (options.waitMs < 1) return undefined;
    const homes = new Set(users.map((user) => presence(user).home ?? ""));
    const whom = new Set([...homes, ...regions, ...others]);
    whom.delete("");
    whom.delete(region);
    const token = mergeTokens(applied(), ("token" in options ? options.token : undefined) ?? new Map());
    const maxStalenessMs = options.mode === "bounded" ? options.maxStalenessMs : 0;
    const also = question === undefined ? {} : { question };
    const asked: Asked = {
      users,
      mode: options.mode,
      token,
      maxStalenessMs,
      waitMs: options.waitMs,
      ...also,
    };
    const served = await elsewhere(asked, [...whom]);
    if (served === undefined) return undefined;
    const { answer, transitMs } = served;
    const value = there(answer, transitMs);
    if (value === undefined) return undefined;
    const isHome = homes.has(answer.region) || answer.presences.some(({ home }) => home === answer.region);
    return {
      value,
      consistency: {
        mode,
        satisfied: true,
        waitedMs: Math.round(clock().monoMs - startedMs),
        servedBy: isHome ? `home:${answer.region}` : answer.region,
        applied: positions(answer.token),
      },
      applied: answer.token,
    };
  }
}

/** At most one ask, made when it is known that something lacks. */
class Asking<R extends object> {
  readonly served: Promise<R>;
  readonly #ask: (lack: Lack) => Promise<R | undefined>;
  #serve: (reading: R) => void = () => undefined;
  #asked: Promise<R | undefined> | undefined;

  constructor(ask: (lack: Lack) => Promise<R | undefined>) {
    this.#ask = ask;
    this.served = new Promise((resolve) => {
      this.#serve = resolve;
    });
  }

  readonly begin = (lack: Lack): void => {
    this.#asked ??= this.#ask(lack).then((reading) => {
      if (reading !== undefined) this.#serve(reading);
      return reading;
    });
  };

  /** Resolves when the ask is over; at once where there was none. */
  async done(): Promise<R | undefined> {
    return this.#asked;
  }
}

/** As old as it is here, by this node's clock. */
export function aged(view: PresenceView, byMs: number, wallMs: number): PresenceView {
  if (view.stalenessMs === null) return view;
  const stalenessMs = Math.round(view.stalenessMs + byMs);
  const asOfMs = Math.round(wallMs - stalenessMs);
  return { ...view, stalenessMs, asOfMs, freshness: freshnessOf(stalenessMs) };
}
