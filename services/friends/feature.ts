/** Friend requests as a part of a presence node: what they are made of, their routes, their metrics, and the canary. */
import type { Region, UserId } from "../../replicator/core/commands.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Feature } from "../presence/feature.ts";
import type { Presence } from "../presence/presence.ts";
import type { Elsewhere } from "../presence/reads.ts";
import type { Consistency, ReadsMet } from "../presence/service.ts";
import { Canary } from "./canary.ts";
import { canaryMetrics, friendMetrics } from "./metrics.ts";
import { answerTo } from "./pages.ts";
import { FriendRequests } from "./requests.ts";
import { friendReadRoutes, friendWriteRoutes } from "./routes.ts";

export interface FriendsFeature extends Feature {
  /** To what another region's node asks. */
  answer(question: unknown): ReturnType<typeof answerTo>;
  stop(): void;
}

export interface FriendsFeatureOptions {
  readonly presence: Presence;
  readonly clock: Clock;
  /** Without it there is none. */
  readonly canary?: {
    readonly peers: readonly Region[];
    /** Of this node. */
    readonly name: string;
    readonly elsewhere: Elsewhere;
    readonly everyMs: number;
  };
}

export function friendsFeature({ presence, clock, canary: wanted }: FriendsFeatureOptions): FriendsFeature {
  const { region, reads } = presence;
  const shown = {
    friends: () => presence.node.replica.friends,
    presence: (user: UserId) => presence.presence(user),
  };
  const requests = friendRequests(presence, clock);
  const readsMet: ReadsMet = { atOnce: 0, waited: 0, home: 0, unsatisfied: 0 };
  const met = ({ satisfied, waitedMs, servedBy }: Consistency): void => {
    if (!satisfied) readsMet.unsatisfied += 1;
    else if (servedBy !== region) readsMet.home += 1;
    else if (waitedMs === 0) readsMet.atOnce += 1;
    else readsMet.waited += 1;
  };
  const canary =
    wanted &&
    new Canary({
      ...wanted,
      region,
      clock,
      // Of its own, so that nobody's requests are counted with those of users.
      requests: friendRequests(presence, clock),
      isOurs: () => presence.ready() && presence.tally.nodes(region, clock().monoMs).at(0) === wanted.name,
    });
  const options = { requests, reads, shown, clock, met };
  const roles = ["service", "operator"] as const;
  return {
    answer: (question) => answerTo(shown, question),
    stop: () => canary?.stop(),
    groups: [
      { roles, gate: "writes", routes: (scope, context) => friendWriteRoutes(scope, context, options) },
      { roles, gate: "reads", routes: (scope, context) => friendReadRoutes(scope, context, options) },
    ],
    metrics: (counter, gauge) => {
      friendMetrics(counter, requests.written, readsMet);
      if (canary !== undefined) canaryMetrics(counter, gauge, region, canary);
    },
  };
}

function friendRequests(presence: Presence, clock: Clock): FriendRequests {
  const { region, homeward, reads } = presence;
  return new FriendRequests({
    region,
    replica: () => presence.node.replica,
    homeward,
    meet: (options) => reads.meet(options),
    clock,
  });
}
