/** A session of this region that a login elsewhere replaces, as far as its home has not decided: it is not in view, and its lease goes on. */
import { expect, it } from "vitest";
import { accept, close, forward, open, sessionOf } from "../../core/samples.ts";
import { Bench } from "../../core/presence-bench.ts";

const LOGIN = open("ann", sessionOf("x", "eu", "phone"));

it("has a lease after a restart too, until the home has applied the login", async () => {
  const bench = new Bench().caughtUp();
  const { session } = await bench.open("ann", "phone");
  bench.start();
  bench.peer("eu", forward("cn", LOGIN)).caughtUp();
  expect(bench.presence.presence("ann").sessions).toMatchObject([{ session: "x" }]);
  expect(bench.presence.liveSessions).toBe(1);
  expect(bench.presence.heartbeat(session)).toBeUndefined();
  bench.log.push([accept("eu", 0, 1, LOGIN)]);
  expect(bench.fold().presence.heartbeat(session)).toEqual({ reason: "replaced", by: "x" });
  expect(bench.presence.liveSessions).toBe(0);
});

it("has none after a restart where it was closed as well", async () => {
  const bench = new Bench().caughtUp();
  const { session } = await bench.open("ann", "phone");
  bench.start();
  bench.peer("eu", forward("cn", LOGIN), forward("cn", close("ann", session))).caughtUp();
  expect(bench.presence.liveSessions).toBe(0);
});
