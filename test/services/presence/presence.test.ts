/** The presence service: what is acknowledged, what a failure leaves, how sessions end and stay ended. */
import { describe, expect, it } from "vitest";
import { rank } from "../../../replicator/core/homing.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { Bench, valueOf } from "../../core/presence-bench.ts";
import { accept, close, forward, logOf, open, prefer, sessionOf } from "../../core/samples.ts";

describe("opening a session", () => {
  it("is acknowledged with the position of its frame, and claims a new user here", async () => {
    const bench = new Bench().caughtUp();
    await bench.settle();
    const opened = await bench.open("ann", "phone");
    expect(opened).toMatchObject({
      session: "s1",
      home: "cn",
      region: "cn",
      provisional: false,
      ttlSeconds: 75,
      heartbeatSeconds: 30,
    });
    expect(opened.token).toEqual(new Map([["cn", { logId: "log-cn", position: bench.log.length }]]));
    expect(bench.log.at(-1)).toMatchObject([
      { kind: "open", user: "ann", session: { device: "phone", region: "cn" } },
    ]);
  });

  it("of a user homed elsewhere is a forward, and provisional", async () => {
    const bench = new Bench().caughtUp().peer("us", open("ann", "x", "us"));
    expect(await bench.open("ann")).toMatchObject({ home: "us", provisional: true });
    expect(bench.log.at(-1)).toMatchObject([{ kind: "forward", to: "us", command: { kind: "open" } }]);
    expect(
      bench.presence.presence("ann").sessions.map(({ session, provisional }) => [session, provisional]),
    ).toEqual([
      ["x", false],
      ["s1", true],
    ]);
  });

  it("with a home given goes there, and so does what follows before it is folded", async () => {
    const bench = new Bench().caughtUp();
    const opening = bench.presence.openSession({ user: "ann", home: "us" });
    await bench.settle();
    const { session, home } = valueOf(await opening);
    expect(home).toBe("us");
    bench.peer("eu", open("ann", "x", "eu"));
    const closing = bench.presence.closeSession(session);
    expect(await bench.settle()).toMatchObject([
      { kind: "forward", to: "us", command: { kind: "close", session } },
    ]);
    valueOf(await closing);
  });

  it("in an unknown region is refused, and before the node has caught up too", async () => {
    expect(await new Bench().caughtUp().presence.openSession({ user: "ann", home: "mars" })).toMatchObject({
      problem: { name: "unknown-region" },
    });
    const { presence } = new Bench();
    presence.node.matrix.loading = "looking for a snapshot";
    expect(presence.startingWith()).toBe("looking for a snapshot");
    expect(await presence.openSession({ user: "ann" })).toMatchObject({
      problem: { name: "not-ready", retryAfterSeconds: 1 },
    });
  });

  it("that cannot be appended leaves no session", async () => {
    const bench = new Bench().caughtUp();
    await bench.settle();
    const opening = bench.presence.openSession({ user: "ann" });
    await bench.settle("lost");
    expect(await opening).toMatchObject({
      ok: false,
      problem: { name: "log-unavailable", retryAfterSeconds: 1 },
    });
    expect([bench.presence.liveSessions, bench.status("ann")]).toEqual([0, "offline"]);
    expect(await bench.pass(40_000)).toEqual([]);
  });

  it("that turns out to be in the log though it was given up is closed again", async () => {
    const bench = new Bench().caughtUp();
    await bench.settle();
    const opening = bench.presence.openSession({ user: "ann" });
    await bench.settle("stored unnoticed");
    expect(await opening).toMatchObject({ ok: false });
    bench.fold();
    expect(await bench.pass(100)).toMatchObject([{ kind: "close", session: "s1" }]);
    expect([bench.status("ann"), bench.presence.tally.reconciled.orphaned]).toEqual(["offline", 1]);
  });

  it("is shown by its own region before it is folded, as provisional", async () => {
    const bench = new Bench().caughtUp();
    const opening = bench.presence.openSession({ user: "ann" });
    await bench.settle();
    valueOf(await opening);
    expect(bench.presence.presence("ann")).toMatchObject({
      status: "online",
      sessions: [{ session: "s1", provisional: true }],
    });
    bench.fold();
    expect(bench.presence.presence("ann")).toMatchObject({
      sessions: [{ session: "s1", provisional: false }],
    });
  });
});

describe("weak presence", () => {
  it("concurrent beats join one opening; later ones renew", async () => {
    const bench = new Bench().caughtUp();
    await bench.settle();
    const beats = [1, 2, 3].map(() => bench.presence.touch("ann", "web"));
    expect(bench.asked).toHaveLength(1);
    await bench.settle();
    for (const beat of beats) expect(await beat).toEqual({ ok: true, value: undefined });
    expect(bench.presence.touch("ann", "web")).toBeUndefined();
    expect([bench.presence.liveSessions, bench.presence.tally.heartbeats]).toEqual([1, 1]);
  });

  it("a failed opening is told to every beat that joined it, and the next beat opens anew", async () => {
    const bench = new Bench().caughtUp();
    await bench.settle();
    const beats = [bench.presence.touch("ann", "web"), bench.presence.touch("ann", "web")];
    await bench.settle("lost");
    for (const beat of beats) expect(await beat).toMatchObject({ ok: false });
    const again = bench.presence.touch("ann", "web");
    expect(await bench.settle()).toMatchObject([{ kind: "open", session: { session: "s2" } }]);
    expect(await again).toMatchObject({ ok: true });
  });
});

describe("the end of a session", () => {
  it("comes when its heartbeats stop: within TTL and TTL + 1 s, by a close in the log", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    await bench.pass(60_000, () => bench.presence.heartbeat(session));
    expect(await bench.pass(LIMITS.ttlMs - 100)).toEqual([]);
    expect(await bench.pass(1_250)).toEqual([close("ann", session, "expired")]);
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "expired", by: "" });
    expect([bench.status("ann"), bench.presence.tally.ended.expired]).toEqual(["offline", 1]);
  });

  it("by logout shows at once, and is told to later heartbeats", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    const closing = bench.presence.closeSession(session);
    expect(await bench.settle()).toEqual([close("ann", session, "logout")]);
    valueOf(await closing);
    expect(bench.fold().status("ann")).toBe("offline");
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "logout", by: "" });
  });

  it("a close that cannot be appended leaves the session alive", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    const closing = bench.presence.closeSession(session);
    await bench.settle("lost");
    expect(await closing).toMatchObject({ ok: false });
    expect(bench.presence.heartbeat(session)).toBeUndefined();
  });

  it("by a login on the same device elsewhere is told as replaced, and by whom", async () => {
    const bench = new Bench().caughtUp().peer("us", open("ann", "x", "us"));
    const { session } = await bench.open("ann", "phone");
    const sent = open("ann", { ...sessionOf(session), device: "phone" });
    bench.peer("us", accept("cn", 0, 1, sent), open("ann", sessionOf("y", "us", "phone")));
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "replaced", by: "y" });
    expect(bench.presence.tally.ended.replaced).toBe(1);
  });

  it("by an operator ends every session of the user, wherever it is connected", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    bench.peer("us", forward("cn", open("ann", "x", "us")));
    const forced = bench.presence.forceLogout("ann");
    const appended = await bench.settle();
    expect(appended.filter(({ kind }) => kind === "close")).toEqual([
      close("ann", session, "forced", "operator"),
      close("ann", "x", "forced", "operator"),
    ]);
    expect(valueOf(await forced).ended).toBe(2);
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "forced", by: "operator" });
    expect(valueOf(await bench.presence.forceLogout("nobody")).ended).toBe(0);
  });

  it("by an operator ends the sessions of an invisible user too", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    const preferring = bench.presence.prefer("ann", "invisible", 0);
    await bench.settle();
    await preferring;
    bench.fold();
    expect(bench.presence.presence("ann").sessions).toEqual([]);
    const forced = bench.presence.forceLogout("ann");
    await bench.settle();
    expect(valueOf(await forced).ended).toBe(1);
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "forced", by: "operator" });
  });

  it("is told again without being done again", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    const closing = bench.presence.closeSession(session);
    await bench.settle();
    await closing;
    expect(valueOf(await bench.presence.closeSession(session)).token).toEqual(bench.presence.applied());
  });

  it("is never undone: what a log still opens is closed again, and no heartbeat revives it", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    const closing = bench.presence.closeSession(session);
    await bench.settle();
    valueOf(await closing);
    bench.fold().peer("us", forward("cn", open("ann", sessionOf(session))));
    expect(bench.presence.heartbeat(session)).toMatchObject({ reason: "logout" });
    const appended = await bench.pass(200);
    expect(
      appended.some((one) =>
        JSON.stringify(one).includes(`"close","user":"ann","session":"${session}","reason":"logout"`),
      ),
    ).toBe(true);
    expect([bench.status("ann"), bench.presence.liveSessions]).toEqual(["offline", 0]);
  });

  it("of a session never heard of is told as unknown", async () => {
    const bench = new Bench().caughtUp();
    expect(bench.presence.heartbeat("nonsense")).toEqual({ reason: "unknown", by: "" });
    expect(await bench.presence.updateSession("nonsense", {})).toMatchObject({
      problem: { name: "unknown-session" },
    });
    expect(await bench.presence.closeSession("nonsense")).toMatchObject({
      problem: { name: "unknown-session" },
    });
  });

  it("an update after the end is refused with the reason", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    await bench.pass(77_000);
    expect(await bench.presence.updateSession(session, { status: "busy" })).toMatchObject({
      problem: { name: "session-ended", members: { reason: "expired" } },
    });
  });
});

describe("a restart of the node", () => {
  it("gives each live session of the region a fresh TTL, and no other", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    const gone = await bench.open("bob");
    const closing = bench.presence.closeSession(gone.session);
    await bench.settle();
    valueOf(await closing);
    await bench.pass(70_000);
    bench.start();
    bench.caughtUp();
    expect(bench.presence.liveSessions).toBe(1);
    expect(await bench.pass(LIMITS.ttlMs - 100)).toEqual([]);
    expect(bench.status("ann")).toBe("online");
    expect(await bench.pass(1_250)).toEqual([close("ann", session, "expired")]);
  });

  it("does not forget how sessions ended", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    const closing = bench.presence.closeSession(session);
    await bench.settle();
    valueOf(await closing);
    bench.start();
    bench.caughtUp();
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "logout", by: "" });
    expect(bench.presence.tally.ended.logout).toBe(0);
  });
});

describe("reconcile", () => {
  it("opens again what the log lost, and shows it meanwhile", async () => {
    const bench = new Bench().caughtUp();
    await bench.settle();
    const opening = bench.presence.openSession({ user: "ann" });
    for (const one of bench.asked.splice(0)) one.settle({ ok: true, logId: logOf("cn"), position: 99 });
    const { session } = valueOf(await opening);
    expect(bench.status("ann")).toBe("online");
    const appended = await bench.pass(31_000, () => bench.presence.heartbeat(session));
    expect(appended).toMatchObject([{ kind: "open", session: { session } }]);
    expect(bench.presence.tally.reconciled.reopened).toBe(1);
    expect(bench.presence.presence("ann").sessions).toMatchObject([{ session, provisional: false }]);
  });

  it("a close that could not be appended is appended when it can be", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    bench.canAppend = false;
    expect(await bench.pass(80_000)).toEqual([]);
    bench.canAppend = true;
    expect(await bench.pass(100)).toEqual([close("ann", session, "expired")]);
  });
});

describe("a preference", () => {
  it("goes to the user's home, and shows at once where it is folded", async () => {
    const bench = new Bench().caughtUp().peer("us", { kind: "watermark", peers: [] }, open("ann", "x", "us"));
    const preferring = bench.presence.prefer("ann", "invisible", 0);
    expect(await bench.settle()).toEqual([forward("us", prefer("ann", "invisible"))]);
    valueOf(await preferring);
    expect(bench.fold().presence.presence("ann")).toMatchObject({ status: "offline", sessions: [] });
  });
});

describe("a double claim", () => {
  it("a session in the record that this region has still to give up is closed there, to be carried along", async () => {
    const user =
      Array.from({ length: 99 }, (_, n) => `u${n}`).find((one) => rank(one, "us") > rank(one, "cn")) ?? "";
    const bench = new Bench().caughtUp();
    const { session } = await bench.open(user);
    bench.peer("us", open(user, "x", "us"));
    const closing = bench.presence.closeSession(session);
    expect(await bench.settle()).toContainEqual(close(user, session, "logout"));
    valueOf(await closing);
  });
});
