/**
 * A session of this region is closed elsewhere, and the close finds nothing to end: it left the opening out on the way to the home, or it
 * went to a log that the session is not in. The session is over all the same.
 */
import { expect, it } from "vitest";
import { rank } from "../../../replicator/core/homing.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { accept, close, drop, forward, open } from "../../core/samples.ts";
import { Bench } from "../../core/presence-bench.ts";

/** cn and us both claim the user and us wins; an operator of us closes what cn has just given up. */
async function givenUpAndClosed() {
  const users = Array.from({ length: 99 }, (_, n) => `u${n}`);
  const user = users.find((one) => rank(one, "us") > rank(one, "cn")) ?? "";
  const bench = new Bench().caughtUp();
  const { session } = await bench.open(user);
  const forced = close(user, session, "forced", "operator");
  bench.log.push([drop(user, "us"), accept("us", 0, 1, forced)]);
  bench.peer("us", open(user, "x", "us"), forward("cn", forced)).fold();
  return { bench, user, session, forced };
}

it("its client is told when the home has processed the close", async () => {
  const { bench, session, forced } = await givenUpAndClosed();
  expect([...bench.presence.node.replica.provisional.queue("cn", "us")]).toMatchObject([{ ordinal: 2 }]);
  expect(bench.presence.heartbeat(session)).toBeUndefined();
  bench.peer("us", accept("cn", 0, 2, forced));
  expect(bench.presence.heartbeat(session)).toEqual({ reason: "forced", by: "operator" });
  expect(bench.presence.liveSessions).toBe(0);
});

it("until then it is not opened again", async () => {
  const { bench, user, session } = await givenUpAndClosed();
  const beat = (): void => void bench.presence.heartbeat(session);
  const appended = await bench.pass(2 * LIMITS.reconcileMs, beat);
  expect(appended.filter(({ kind }) => kind === "forward" || kind === "open")).toEqual([]);
  expect(bench.presence.presence(user).sessions).toMatchObject([{ session: "x" }]);
});

it("of sessions that are connected elsewhere nothing is remembered", () => {
  const bench = new Bench().caughtUp().peer("us", open("ann", "x", "us"), close("ann", "y"));
  expect(bench.presence.heartbeat("y")).toEqual({ reason: "unknown", by: "" });
});

it("where the close went to another log than the one that has it, that one is told", async () => {
  const bench = new Bench().caughtUp().peer("us", open("ann", "x", "us"));
  const { session } = await bench.open("ann");
  bench.peer("us", accept("cn", 0, 1, open("ann", session)));
  const forced = close("ann", session, "forced", "operator");
  bench.peer("eu", open("ann", "y", "eu"), forced);
  expect(bench.presence.heartbeat(session)).toEqual({ reason: "forced", by: "operator" });
  expect(await bench.pass(LIMITS.tickMs)).toEqual([forward("us", forced)]);
});
