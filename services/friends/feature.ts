/** Friend requests as a part of a presence node: what they are made of, their routes and their metrics. */
import type { Friends } from "../../replicator/core/friends.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Feature } from "../presence/feature.ts";
import type { Define, Sample } from "../presence/metrics.ts";
import type { Presence } from "../presence/presence.ts";
import type { Consistency, ReadsMet } from "../presence/service.ts";
import { answerTo } from "./pages.ts";
import type { Page } from "./pages.ts";
import { FriendRequests } from "./requests.ts";
import type { WriteResult } from "./requests.ts";
import { friendReadRoutes, friendWriteRoutes } from "./routes.ts";

export interface FriendsFeature extends Feature {
  /** To what another region's node asks. */
  answer(question: unknown): Page | undefined;
}

export function friendsFeature(presence: Presence, clock: Clock): FriendsFeature {
  const { region, homeward, reads } = presence;
  const friends = (): Friends => presence.node.replica.friends;
  const requests = new FriendRequests({
    region,
    replica: () => presence.node.replica,
    homeward,
    meet: (options) => reads.meet(options),
    clock,
  });
  const readsMet: ReadsMet = { atOnce: 0, waited: 0, home: 0, unsatisfied: 0 };
  const met = ({ satisfied, waitedMs, servedBy }: Consistency): void => {
    if (!satisfied) readsMet.unsatisfied += 1;
    else if (servedBy !== region) readsMet.home += 1;
    else if (waitedMs === 0) readsMet.atOnce += 1;
    else readsMet.waited += 1;
  };
  const options = { requests, reads, friends, met };
  const roles = ["service", "operator"] as const;
  return {
    answer: (question) => answerTo(friends(), question),
    groups: [
      { roles, gate: "writes", routes: (scope, context) => friendWriteRoutes(scope, context, options) },
      { roles, gate: "reads", routes: (scope, context) => friendReadRoutes(scope, context, options) },
    ],
    metrics: (counter) => friendMetrics(counter, requests.written, readsMet),
  };
}

function friendMetrics(
  counter: Define,
  written: Readonly<Record<WriteResult, number>>,
  reads: Readonly<ReadsMet>,
): void {
  counter(
    "rollcall_friend_writes_total",
    "Writes about friend requests, by what came of them",
    ["result"],
    () => Object.entries(written).map(([result, n]): Sample => [{ result }, n]),
  );
  counter(
    "rollcall_friend_reads_total",
    "Reads of friend requests and friends, by how they were met",
    ["met"],
    () => [
      [{ met: "at-once" }, reads.atOnce],
      [{ met: "waited" }, reads.waited],
      [{ met: "home" }, reads.home],
      [{ met: "unsatisfied" }, reads.unsatisfied],
    ],
  );
}
