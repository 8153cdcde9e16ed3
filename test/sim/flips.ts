/**
 * Records that change without a command, as memory does that decays. Rule: the node finds it by itself or by the digests, and makes its
 * replica anew; unless a command says the record anew before, or the node dies.
 */
import type { Region, UserId } from "../../replicator/core/commands.ts";
import type { UserRecord } from "../../replicator/core/record.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { NodeHost } from "./node-host.ts";
import type { Random } from "./random.ts";
import type { World } from "./world.ts";

interface Flip {
  readonly host: NodeHost;
  readonly life: number;
  readonly replica: Replica;
  readonly region: Region;
  readonly user: UserId;
  readonly record: UserRecord;
  /** What it says now. */
  readonly untilMs: number;
  /** What the node had found before. */
  readonly found: number;
}

const FLIPPED_BIT = 2 ** 20;

export class Flips {
  readonly #flips: Flip[] = [];
  readonly counts = { flipsFound: 0, flipsOverwritten: 0, flipsDied: 0 };

  constructor(world: World) {
    world.flip = (host, random) => this.#flip(host, random);
  }

  /** Whether there was something to flip. */
  #flip(host: NodeHost, random: Random): boolean {
    const { replica } = host.node;
    const fold = random.pick(replica.folds);
    const records = [...fold.table.values()].filter(({ user }) => !replica.contested.has(user));
    if (!host.ready || host.flipped || records.length === 0) return false;
    // What commands said until now is in the digest; from here on nothing else may change it.
    fold.digest.settle(Number.POSITIVE_INFINITY);
    const record = random.pick(records);
    const untilMs = record.preferredUntilMs + FLIPPED_BIT;
    record.preferredUntilMs = untilMs;
    const { region } = fold;
    const { number: life } = host.process;
    this.#flips.push({
      host,
      life,
      replica,
      region,
      user: record.user,
      record,
      untilMs,
      found: foundBy(host),
    });
    host.flip = { replica, record, untilMs };
    return true;
  }

  /** What was never found, or never repaired, after everything healed. */
  left(): string | undefined {
    this.counts.flipsFound = 0;
    this.counts.flipsDied = 0;
    this.counts.flipsOverwritten = 0;
    for (const { host, life, replica, region, user, record, untilMs, found } of this.#flips) {
      const what = `a change of ${user} in the log of ${region} by itself`;
      if (host.process.number !== life) this.counts.flipsDied += 1;
      else if (foundBy(host) > found) {
        if (host.flipped && host.node.replica === replica)
          return `${host.name} found ${what} and did not repair it`;
        this.counts.flipsFound += 1;
      } else if (record.preferredUntilMs !== untilMs) this.counts.flipsOverwritten += 1;
      else if (host.node.replica !== replica) this.counts.flipsOverwritten += 1;
      else return `${host.name} never found ${what}`;
    }
    return undefined;
  }
}

/** How often the node found something wrong with its memory, in this life. */
function foundBy({ engine }: NodeHost): number {
  return (engine?.trust.stats.corrupt ?? 0) + (engine?.trust.stats.mismatches ?? 0);
}
