/**
 * What a node has that serves clients: the service, its ways to the heads of all logs and to other regions' nodes, and friend requests, as
 * `services/presence/node.ts` puts them together. Rule: it decides nothing, and all names that a node mints come from the run alone.
 */
import { answerTo, shownBy } from "../../services/friends/pages.ts";
import { FriendRequests } from "../../services/friends/requests.ts";
import { logEndAt } from "../../services/presence/abreast.ts";
import type { Appender } from "../../services/presence/appender.ts";
import { HeadAsker } from "../../services/presence/heads.ts";
import { Presence } from "../../services/presence/presence.ts";
import { RelayDesk } from "../../services/presence/relay-desk.ts";
import { Relay } from "../../services/presence/relay.ts";
import type { NodeHost } from "./node-host.ts";
import { HEARTBEAT_MS, REGIONS, REHOME_LOGINS, TTL_MS } from "./settings.ts";
import type { SimStore } from "./store.ts";
import type { World } from "./world.ts";

export interface Serving {
  readonly presence: Presence;
  /** Answers other regions' nodes. */
  readonly desk: RelayDesk;
  readonly friends: FriendRequests;
}

export function serving(world: World, host: NodeHost, appender: Appender, store: SimStore): Serving {
  const { region, name, process } = host;
  const { clock } = process;
  const peers = REGIONS.filter((one) => one !== region);
  const malformed = (): void => world.machine.fail(`invariant 11: ${name} cannot read what was announced`);
  const asker = new HeadAsker({ node: `${name}.${process.number}`, regions: REGIONS, store, malformed });
  let asks = 0;
  const mint = (): string => `${name}-${process.number}-${(asks += 1)}`;
  const relay = new Relay({ region, peers, store, clock, mint });
  const presence = new Presence({
    region,
    regions: REGIONS,
    clock,
    append: (commands) => appender.append(commands),
    canAppend: () => store.connected() && appender.canAppend(),
    logEnd: logEndAt(store, region),
    heads: (waitMs) => asker.ask(waitMs),
    elsewhere: (asked, whom) => relay.ask(asked, whom),
    integrity: (effect) => host.engine?.trust.heard(effect),
    recheck: async () => host.engine?.recheck(),
    mintSession: () => host.mintSession(),
    random: () => world.nodeRandom.unit(),
    ttlMs: TTL_MS,
    heartbeatMs: HEARTBEAT_MS,
    rehomeLogins: REHOME_LOGINS,
  });
  const { reads, homeward } = presence;
  const friends = new FriendRequests({
    region,
    replica: () => presence.node.replica,
    homeward,
    meet: (options) => reads.meet(options),
    clock,
  });
  const answers = {
    ready: () => presence.ready(),
    meet: reads.meet.bind(reads),
    followsHeirs: () => reads.followsHeirs(),
    presence: presence.presence.bind(presence),
    answer: (question: unknown) => answerTo(shownBy(presence), question),
    applied: () => presence.applied(),
    oldestMs: () => reads.oldestMs(),
  };
  return { presence, friends, desk: new RelayDesk({ region, peers, store, clock, answers }) };
}
