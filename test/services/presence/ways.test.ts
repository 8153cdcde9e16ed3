/** How long a node remembers where a command went: until its log shows that nothing of it is on its way any more. */
import { expect, it } from "vitest";
import type { LogPosition } from "../../../replicator/core/token.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import type { AppendOutcome } from "../../../services/presence/appender.ts";
import { Ways } from "../../../services/presence/ways.ts";
import { forward, open, prefer, update } from "../../core/samples.ts";

const AWAY = update("ann", "s1", "away");
const OTHER = update("bob", "s2", "busy");

function stored(position: number, logId = "log"): AppendOutcome {
  return { ok: true, logId, position };
}

function failed(reason: "unavailable" | "unanswered" | "rejected" | "overloaded"): AppendOutcome {
  return { ok: false, reason, detail: "" };
}

function waysAt(folded: LogPosition): { ways: Ways; fold: (at: LogPosition) => void } {
  let at = folded;
  return { ways: new Ways("cn", () => at), fold: (next) => (at = next) };
}

it("a command has a way from when it is sent until it is folded", () => {
  const { ways, fold } = waysAt({ logId: "log", position: 3 });
  const sent = ways.send([forward("us", AWAY), { kind: "drop", user: "ann", to: "eu" }, OTHER]);
  expect([ways.of(AWAY), ways.of(OTHER)]).toEqual(["us", "cn"]);
  ways.settle(sent, stored(5));
  fold({ logId: "log", position: 4 });
  expect(ways.of(AWAY)).toBe("us");
  fold({ logId: "log", position: 5 });
  expect([ways.of(AWAY), ways.of(OTHER)]).toEqual([undefined, undefined]);
});

it("of several about a session the last one leads, also when an earlier one is folded", () => {
  const { ways, fold } = waysAt({ logId: "log", position: 0 });
  ways.settle(ways.send([forward("us", AWAY)]), stored(1));
  ways.settle(ways.send([forward("eu", AWAY)]), stored(2));
  fold({ logId: "log", position: 1 });
  expect(ways.of(AWAY)).toBe("eu");
});

it("what claims a user goes the way of the user's newest open, unless more was said of the same thing", () => {
  const { ways } = waysAt({ logId: "log", position: 0 });
  ways.send([forward("eu", AWAY)]);
  expect(ways.of(prefer("ann", "busy"))).toBeUndefined();
  ways.send([forward("us", open("ann", "s3"))]);
  expect([ways.of(prefer("ann", "busy")), ways.of(open("ann", "s4"))]).toEqual(["us", "us"]);
  expect(ways.of(update("ann", "s4", "busy"))).toBeUndefined();
  ways.send([prefer("ann", "away")]);
  expect(ways.of(prefer("ann", "busy"))).toBe("cn");
});

it.each(["unavailable", "rejected", "overloaded"] as const)("what is %s leads nowhere", (reason) => {
  const { ways } = waysAt({ logId: "log", position: 0 });
  ways.settle(ways.send([forward("us", AWAY)]), failed(reason));
  expect(ways.of(AWAY)).toBeUndefined();
});

it("what nobody answered for may be in the log: it leads until something that was sent after it is folded", () => {
  const { ways, fold } = waysAt({ logId: "log", position: 0 });
  ways.settle(ways.send([forward("us", AWAY)]), failed("unanswered"));
  fold({ logId: "log", position: 7 });
  expect(ways.of(AWAY)).toBe("us");
  const later = ways.send([OTHER]);
  expect(ways.of(AWAY)).toBe("us");
  ways.settle(later, stored(8));
  expect(ways.of(AWAY)).toBe("us");
  fold({ logId: "log", position: 8 });
  expect(ways.of(AWAY)).toBeUndefined();
});

it("what a log had that another one took the place of is over with what is folded of that", () => {
  const { ways, fold } = waysAt({ logId: "log", position: 8 });
  ways.settle(ways.send([forward("us", AWAY)]), stored(9));
  ways.settle(ways.send([OTHER]), stored(2, "log-2"));
  expect(ways.of(AWAY)).toBe("us");
  fold({ logId: "log-2", position: 1 });
  expect(ways.of(AWAY)).toBe("us");
  fold({ logId: "log-2", position: 2 });
  expect(ways.of(AWAY)).toBeUndefined();
});

it("of more than the bound the oldest are forgotten", () => {
  const { ways } = waysAt({ logId: "log", position: 0 });
  const oldest = ways.send([forward("us", AWAY)]);
  for (let sent = 1; sent < LIMITS.waysMax; sent++) ways.send([OTHER]);
  expect(ways.of(AWAY)).toBe("us");
  ways.send([forward("us", open("eve", "s5"))]);
  expect([ways.of(AWAY), ways.of(OTHER)]).toEqual([undefined, "cn"]);
  ways.settle(oldest, failed("unavailable"));
});
