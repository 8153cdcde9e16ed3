/**
 * The way of clients' commands to the log of their user's home: in this region's log by themselves, else as forwards. Rule: what is said
 * of a session goes the way of what is not folded of it yet, and reconcile leaves a session alone while an append about it is under way.
 */
import { defined } from "../../replicator/core/assert.ts";
import type { ClientCommand, Command, Region } from "../../replicator/core/commands.ts";
import { firstHome } from "../../replicator/core/evacuation.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import type { AppendOutcome } from "./appender.ts";
import type { Lease } from "./leases.ts";
import { Ways } from "./ways.ts";

export interface HomewardOptions {
  readonly region: Region;
  /** The replica of the moment. */
  readonly replica: () => Replica;
  /** Appends next to each other to the region's own log. */
  readonly append: (commands: readonly Command[]) => Promise<AppendOutcome>;
}

export class Homeward {
  readonly #options: HomewardOptions;
  readonly #ways: Ways;

  constructor(options: HomewardOptions) {
    this.#options = options;
    const { region, replica } = options;
    this.#ways = new Ways(region, () => defined(replica().fold(region), "a replica has every region"));
  }

  /** The region whose log decides about the command; undefined for a user that no log has. */
  route(command: ClientCommand): Region | undefined {
    const { region, replica } = this.#options;
    return this.#ways.of(command) ?? replica().route(region, command);
  }

  /** Where a user begins whom no log has and who is to live in `home`: there, or with the heir of a region that is evacuated. */
  firstHome(home: Region = this.#options.region): Region {
    return firstHome(this.#options.replica(), home);
  }

  /** The command as this region appends it. */
  address(command: ClientCommand, to: Region = this.route(command) ?? this.firstHome()): Command {
    return to === this.#options.region ? command : { kind: "forward", to, command };
  }

  /** Appends; until that settles, reconcile leaves these leases alone. */
  async append(commands: readonly Command[], about: readonly Lease[] = []): Promise<AppendOutcome> {
    for (const lease of about) lease.settling += 1;
    const sent = this.#ways.send(commands);
    const outcome = await this.#options.append(commands);
    this.#ways.settle(sent, outcome);
    for (const lease of about) lease.settling -= 1;
    return outcome;
  }
}
