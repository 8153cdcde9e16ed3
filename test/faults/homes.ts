/**
 * Who wrote each user's record at each epoch, as the logs of all regions say: a reading of its own of what commands do to a home, beside the
 * product's fold. Rule: every command of every log counts, from the first frame on; one that stands behind the end of a record in its log
 * writes nothing there, and is for another region.
 */
import type { Accept, Command, Frame, Region, UserCommand, UserId } from "../../replicator/core/commands.ts";
import { decodeFrame } from "../../replicator/wire/codec.ts";
import { followLog, type Stored } from "./logs.ts";
import type { Stage } from "./stage.ts";

type Epoch = readonly [generation: number, count: number];

interface Held {
  epoch: Epoch;
  /** Where this log gave the user; empty while it has them. */
  movedTo: Region;
}

export interface Home {
  readonly home: Region;
  readonly epoch: Epoch;
}

/** A command about a user whom its log had given up before. */
export interface Late {
  readonly region: Region;
  readonly user: UserId;
  readonly node: string;
  readonly kind: Command["kind"];
}

export interface Homes {
  /** By user and epoch: whose logs wrote the record. */
  readonly writers: ReadonlyMap<string, ReadonlySet<Region>>;
  /** By user: the log that has the record of the highest epoch. */
  readonly homes: ReadonlyMap<UserId, Home>;
  /** Planned moves. */
  readonly releases: number;
  /** Claims that took effect, and of these those that no release led to, or for the second time. */
  readonly claims: number;
  readonly claimsUnfounded: number;
  readonly late: readonly Late[];
}

/** Follows all logs of a stage from now on; what is returned says, each time, what they have said until then. */
export async function followHomes(stage: Stage): Promise<() => Promise<Homes>> {
  const followed = await Promise.all(
    stage.regions.map(async ({ name, nats }) => [name, await followLog(nats.url, name)] as const),
  );
  stage.onStop(async () => {
    await Promise.all(followed.map(([, log]) => log.close()));
  });
  return async () => {
    const logs = followed.map(async ([name, log]) => [name, (await log.whole()).map(frameOf)] as const);
    return homesIn(new Map(await Promise.all(logs)));
  };
}

function frameOf({ bytes }: Stored): Frame {
  const decoded = decodeFrame(bytes);
  if (!decoded.ok) throw new Error(`a frame cannot be read: ${decoded.reason}`);
  return decoded.frame;
}

/** The same, of frames: the whole of each log. */
export function homesIn(logs: ReadonlyMap<Region, readonly Frame[]>): Homes {
  const readings = [...logs].map(([region, frames]) => new Reading(region, frames));
  const writers = new Map<string, Set<Region>>();
  const homes = new Map<UserId, Home>();
  for (const { region, wrote, held } of readings) {
    for (const key of wrote) writers.set(key, (writers.get(key) ?? new Set()).add(region));
    for (const [user, { epoch, movedTo }] of held) {
      const known = homes.get(user);
      if (movedTo === "" && (known === undefined || isHigher(epoch, known.epoch)))
        homes.set(user, { home: region, epoch });
    }
  }
  const given = new Set(readings.flatMap((reading) => reading.given));
  const claimed = readings.flatMap((reading) => reading.claimed);
  const founded = new Set(claimed.filter((key) => given.has(key)));
  return {
    writers,
    homes,
    releases: given.size,
    claims: claimed.length,
    claimsUnfounded: claimed.length - founded.size,
    late: readings.flatMap((reading) => reading.late),
  };
}

/** What one log says, read from its beginning. */
class Reading {
  readonly region: Region;
  readonly held = new Map<UserId, Held>();
  /** Keys of the records that it wrote. */
  readonly wrote = new Set<string>();
  /** Keys of the records that are to be claimed next, and of those that were claimed. */
  readonly given: string[] = [];
  readonly claimed: string[] = [];
  readonly late: Late[] = [];
  readonly #processed = new Map<string, number>();
  #node = "";

  constructor(region: Region, frames: readonly Frame[]) {
    this.region = region;
    for (const { node, commands } of frames) {
      this.#node = node;
      for (const command of commands) this.#read(command);
    }
  }

  #read(command: Command): void {
    switch (command.kind) {
      case "forward":
      case "watermark":
      case "mark":
      case "digest":
      case "set":
        return;
      case "renewed":
      case "deputed":
        throw new Error(`the log of ${this.region} goes on from another one, which is gone`);
      case "accept":
        if (this.#isNext(command)) this.#write(command.command);
        return;
      case "release":
      case "drop":
        return this.#give(command.user, command.to, command.kind);
      case "open":
      case "update":
      case "close":
      case "prefer":
      case "claim":
      case "stance":
      case "read":
      case "bookmark":
        return this.#write(command);
    }
  }

  /** An accept counts once, and not before those that it stands behind. */
  #isNext({ lineage, after, at }: Accept): boolean {
    const done = this.#processed.get(lineage) ?? 0;
    if (at <= done || after > done) return false;
    this.#processed.set(lineage, at);
    return true;
  }

  #write(command: UserCommand): void {
    const { user, kind } = command;
    const held = this.held.get(user);
    if (kind === "claim") return this.#claim(user, [command.epoch.generation, command.epoch.count]);
    if (held !== undefined && held.movedTo !== "") return this.#isLate(user, kind);
    if (held === undefined && (kind === "update" || kind === "close")) return;
    if (held === undefined) this.held.set(user, { epoch: [0, 1], movedTo: "" });
    else if (kind === "stance" || kind === "read" || kind === "bookmark") return; // beside the record
    this.#wrote(user);
  }

  #claim(user: UserId, epoch: Epoch): void {
    const held = this.held.get(user);
    if (held !== undefined && !isHigher(epoch, held.epoch)) return this.#isLate(user, "claim");
    this.held.set(user, { epoch, movedTo: "" });
    this.claimed.push(`${keyOf(user, epoch)} ${this.region}`);
    this.#wrote(user);
  }

  #give(user: UserId, to: Region, kind: "release" | "drop"): void {
    const held = this.held.get(user);
    if (held === undefined || held.movedTo !== "" || to === this.region) return this.#isLate(user, kind);
    const [generation, count] = held.epoch;
    held.movedTo = to;
    if (kind === "release" || count > 1) this.given.push(`${keyOf(user, [generation, count + 1])} ${to}`);
  }

  #isLate(user: UserId, kind: Command["kind"]): void {
    this.late.push({ region: this.region, user, node: this.#node, kind });
  }

  #wrote(user: UserId): void {
    const held = this.held.get(user);
    if (held !== undefined) this.wrote.add(keyOf(user, held.epoch));
  }
}

function keyOf(user: UserId, epoch: Epoch): string {
  return `${user} ${epoch.join(".")}`;
}

function isHigher(a: Epoch, b: Epoch): boolean {
  return a[0] > b[0] || (a[0] === b[0] && a[1] > b[1]);
}
