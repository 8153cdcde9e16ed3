/**
 * Planned evacuation of a region that is alive, and its return: what the region's own log says under one key, and who does what about it.
 * Rule: users move by planned releases alone (decisions/0013), a few at a time, so nobody is shown offline on the way; who cannot be
 * released yet is looked at again in the next round. Nobody is moved on by a second evacuation before the first has brought them back.
 *
 *   the log says                | who acts           | what they do
 *   ----------------------------+--------------------+-----------------------------------------------------------------
 *   `to H since V [until T]`    | the region's nodes | release all users but guests to H, unless H is on its way too; at
 *                               |                    | wall-clock time T append `ending`
 *   `ending H since V`          | the region's nodes | wait until no release is under way any more, then append `from`
 *   `from H since V to W`       | H's nodes          | release those that the log gave to H from V to W, back here
 *                               | the region's nodes | append `home` when nobody of them is left
 *   `home`, anything else       | nobody             |
 *
 * A guest is who another evacuation gave to the region, its heir, and has not brought back yet.
 * V and W are versions of the region's log (`Fold.version`): W keeps apart who was evacuated and who is given to H while others return.
 */
import { defined } from "./assert.ts";
import type { Command, Region, SettingCommand, UserId } from "./commands.ts";
import type { Fold } from "./fold.ts";
import { compareEpochs } from "./homing.ts";
import type { Now } from "./lag.ts";
import type { UserRecord } from "./record.ts";
import type { Replica } from "./replica.ts";
import type { Setting } from "./snapshot.ts";

export const EVACUATION_KEY = "evacuation";
const HOME = "home";
const PHASES = /^(to|ending|from) ([a-z][a-z0-9-]*) since ([0-9]{1,16})(?: (?:to|until) ([0-9]{1,16}))?$/;

export interface Evacuation {
  readonly phase: "to" | "ending" | "from";
  readonly heir: Region;
  readonly since: number;
  /** Of `to`: when it ends by itself, in wall-clock milliseconds; of `from`: the version up to which users were given away. */
  readonly end: number | undefined;
}

export function evacuationValue({ phase, heir, since, end }: Evacuation): string {
  const last = end === undefined ? "" : ` ${phase === "to" ? "until" : "to"} ${end}`;
  return `${phase} ${heir} since ${since}${last}`;
}

function settingOf(replica: Replica, region: Region): Setting | undefined {
  return defined(replica.fold(region), "a replica has every region").settings.get(EVACUATION_KEY);
}

function decided(replica: Replica, region: Region): string {
  return settingOf(replica, region)?.value ?? HOME;
}

/** The region's evacuation, from its decision to the return of the last user; a text that cannot be read decides nothing. */
export function evacuationOf(replica: Replica, region: Region): Evacuation | undefined {
  const [, phase, heir = "", since, end] = PHASES.exec(decided(replica, region)) ?? [];
  if (heir === region || replica.fold(heir) === undefined) return undefined;
  const of = { heir, since: Number(since), end: end === undefined ? undefined : Number(end) };
  return { phase: phase === "to" || phase === "ending" ? phase : "from", ...of };
}

/** Where users that no log has begin, who would begin in `region`: with its heir while it is evacuated, but for one in that state itself. */
export function firstHome(replica: Replica, region: Region): Region {
  const evacuation = evacuationOf(replica, region);
  if (evacuation?.phase !== "to" || evacuationOf(replica, evacuation.heir) !== undefined) return region;
  return evacuation.heir;
}

/** Whether the evacuation gave the user away, and the heir still has them, or has yet to hear of them. */
export function isAway(replica: Replica, record: UserRecord, { heir, since, end }: Evacuation): boolean {
  const { user, movedTo, version, epoch } = record;
  if (movedTo !== heir || version <= since || (end !== undefined && version > end)) return false;
  const there = replica.fold(heir)?.table.get(user);
  return there === undefined || there.movedTo === "" || compareEpochs(there.epoch, epoch) < 0;
}

/** The regions whose heir `region` is, from the decision to the return of the last user. */
export function heirOf(replica: Replica, region: Region): readonly Region[] {
  return replica.regions.filter((one) => evacuationOf(replica, one)?.heir === region);
}

/** Whether the user is in `region` because it is the heir of another, which has to get them back from here. */
export function isGuest(replica: Replica, region: Region, user: UserId): boolean {
  return heirOf(replica, region).some((giver) => {
    const record = replica.fold(giver)?.table.get(user);
    const evacuation = evacuationOf(replica, giver);
    return record !== undefined && evacuation !== undefined && isAway(replica, record, evacuation);
  });
}

/** Releases in one append, one append at a time: 100,000 users take a minute. */
const RELEASES_MAX = 100;
/** Records looked at per tick. */
const LOOKED_MAX = 1_000;
/** What was appended and not folded since is appended again after this long. */
const RETRY_MS = 5_000;

/** Round after round through the records of one fold, while what was decided stays the same. */
interface Walk {
  readonly value: string;
  readonly sinceMs: number;
  records: Iterator<UserRecord>;
  /** Of this round. */
  found: number;
  /** Of the last whole round. */
  left: number | undefined;
}

export class Evacuations {
  readonly #region: Region;
  /** The replica of the moment. */
  readonly #replica: () => Replica;
  readonly #mayRelease: (user: UserId) => boolean;
  readonly #walks = new Map<Region, Walk>();
  /** Asked to be released, and when; oldest first. */
  readonly #releasing = new Map<UserId, number>();
  #inFlight = false;
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor(region: Region, replica: () => Replica, mayRelease: (user: UserId) => boolean) {
    this.#region = region;
    this.#replica = replica;
    this.#mayRelease = mayRelease;
  }

  /** Another replica took the place of the one that was walked through. */
  adopted(): void {
    this.#walks.clear();
    this.#releasing.clear();
  }

  settled(): void {
    this.#inFlight = false;
  }

  /** Users that have still to move: from an evacuated region, or back to it. Undefined while nobody has counted them. */
  left(region: Region): number | undefined {
    const replica = this.#replica();
    if (evacuationOf(replica, region)?.phase === "to") return replica.homed(region);
    const walk = this.#walks.get(region);
    return walk?.value === decided(replica, region) ? walk.left : undefined;
  }

  /** What this node has to append now. */
  due(now: Now): readonly Command[] {
    if (this.#inFlight) return [];
    for (const [user, sinceMs] of this.#releasing) {
      if (now.monoMs - sinceMs <= RETRY_MS) break;
      this.#releasing.delete(user);
    }
    const commands = this.#replica().folds.flatMap((fold) => this.#dueOf(fold, now));
    this.#inFlight = commands.length > 0;
    return commands;
  }

  #dueOf(fold: Fold, now: Now): readonly Command[] {
    const { region } = fold;
    const evacuation = evacuationOf(this.#replica(), region);
    if (evacuation === undefined) {
      this.#walks.delete(region);
      return [];
    }
    const walk = this.#walkOf(fold, now);
    const { phase, heir, end } = evacuation;
    const own = region === this.#region;
    if (phase === "from") {
      const back = this.#walk(walk, fold, now, heir === this.#region ? region : undefined, (record) =>
        isAway(this.#replica(), record, evacuation),
      );
      return own && walk.left === 0 ? this.#say(HOME, now) : back;
    }
    if (!own) return [];
    if (phase === "ending") {
      if (now.monoMs - walk.sinceMs < RETRY_MS) return [];
      const from = evacuationValue({ ...evacuation, phase: "from", end: fold.version });
      return this.#say(from, now);
    }
    if (end !== undefined && now.wallMs >= end) {
      return this.#say(evacuationValue({ ...evacuation, phase: "ending", end: undefined }), now);
    }
    const isDone = this.#replica().homed(region) === 0;
    return !isDone && evacuationOf(this.#replica(), heir) === undefined
      ? this.#walk(walk, fold, now, heir, (record) => this.#isToLeave(record))
      : [];
  }

  #isToLeave({ user, movedTo }: UserRecord): boolean {
    return movedTo === "" && !isGuest(this.#replica(), this.#region, user);
  }

  #walkOf({ region, table }: Fold, now: Now): Walk {
    const value = decided(this.#replica(), region);
    const known = this.#walks.get(region);
    if (known?.value === value) return known;
    const walk = { value, sinceMs: now.monoMs, records: table.values(), found: 0, left: undefined };
    this.#walks.set(region, walk);
    return walk;
  }

  /** Looks at the next records; releases to `to`, if this node may, those that are meant. */
  #walk(
    walk: Walk,
    { table }: Fold,
    now: Now,
    to: Region | undefined,
    isMeant: (record: UserRecord) => boolean,
  ): readonly Command[] {
    const commands: Command[] = [];
    for (let looked = 0; looked < LOOKED_MAX && commands.length < RELEASES_MAX; looked++) {
      const { value: record, done } = walk.records.next();
      if (done === true) {
        Object.assign(walk, { records: table.values(), left: walk.found, found: 0 });
        break;
      }
      if (!isMeant(record)) continue;
      walk.found += 1;
      const { user } = record;
      if (to === undefined || this.#releasing.has(user) || !this.#mayRelease(user)) continue;
      this.#releasing.set(user, now.monoMs);
      commands.push({ kind: "release", user, to });
    }
    return commands;
  }

  /** The reason stays that of the operator. */
  #say(value: string, now: Now): readonly SettingCommand[] {
    if (now.monoMs - this.#saidMs < RETRY_MS) return [];
    this.#saidMs = now.monoMs;
    const { reason } = defined(settingOf(this.#replica(), this.#region), "an evacuation is a decision");
    return [{ kind: "set", key: EVACUATION_KEY, value, by: "node", reason }];
  }
}
