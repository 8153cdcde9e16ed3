/** One terminal at a time, as a region's clients see it: what the one that was kicked is told, in each of the classic races. */
import { describe, expect, it } from "vitest";
import type { Close, Open, Session } from "../../../replicator/core/commands.ts";
import { Bench, valueOf } from "../../core/presence-bench.ts";
import { accept, sessionOf } from "../../core/samples.ts";

const FAR: Session = { ...sessionOf("far", "us"), policy: "single" };

function single(bench: Bench, device = ""): ReturnType<Bench["presence"]["openSession"]> {
  return bench.presence.openSession({ user: "ann", device, policy: "single" });
}

/** A login in us, which cn, the home, has accepted. */
function farLogin(bench: Bench): void {
  bench.log.push([accept("us", 0, 1, { kind: "open", user: "ann", session: FAR })]);
  bench.fold();
}

describe("the one that is kicked", () => {
  it("is told by whom at its next heartbeat, and nothing more is appended about it", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    farLogin(bench);
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "kicked", by: "far" });
    expect(await bench.pass(12_000)).toEqual([]);
    expect(bench.presence.presence("ann").sessions.map((one) => one.session)).toEqual(["far"]);
  });

  it("learns it though the second login overtakes the first's answer", async () => {
    const bench = new Bench().caughtUp();
    const first = single(bench);
    const second = single(bench);
    await bench.settle();
    bench.fold();
    const [one, two] = [valueOf(await first), valueOf(await second)];
    expect(bench.presence.heartbeat(one.session)).toEqual({ reason: "kicked", by: two.session });
    expect(bench.presence.heartbeat(two.session)).toBeUndefined();
  });

  it("learns it though the kick overtakes the login's answer", async () => {
    const bench = new Bench().caughtUp();
    const opening = single(bench);
    const asked = bench.asked.splice(0);
    for (const { commands } of asked) bench.log.push([...commands]);
    farLogin(bench);
    for (const [index, { settle }] of asked.entries())
      settle({ ok: true, logId: "log-cn", position: index + 1 });
    const { session } = valueOf(await opening);
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "kicked", by: "far" });
    expect(bench.presence.presence("ann").sessions.map((one) => one.session)).toEqual(["far"]);
  });

  it("may log out after the new login: that is acknowledged, and ends nobody else", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    farLogin(bench);
    expect(await bench.presence.closeSession(session)).toMatchObject({ ok: true });
    expect(bench.presence.presence("ann").sessions.map((one) => one.session)).toEqual(["far"]);
  });

  it("whose logout was under way is not put back", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    const closing = bench.presence.closeSession(session);
    farLogin(bench);
    await bench.settle();
    bench.fold();
    expect(await closing).toMatchObject({ ok: true });
    expect(bench.presence.presence("ann").sessions.map((one) => one.session)).toEqual(["far"]);
  });
});

describe("a client that reconnects", () => {
  it("replaces its own device's session and is not kicked", async () => {
    const bench = new Bench().caughtUp();
    const [before, after] = [await bench.open("ann", "phone"), single(bench, "phone")];
    await bench.settle();
    bench.fold();
    const { session } = valueOf(await after);
    expect(bench.presence.heartbeat(before.session)).toEqual({ reason: "replaced", by: session });
    expect(bench.presence.heartbeat(session)).toBeUndefined();
  });
});

describe("a login in the home's absence", () => {
  it("shows its own session alone where it is connected, until the home has decided", async () => {
    const bench = new Bench().caughtUp();
    bench.peer("us", { kind: "open", user: "ann", session: FAR });
    const opening = single(bench);
    const appended = await bench.settle();
    bench.fold();
    const { session, provisional } = valueOf(await opening);
    expect(appended).toMatchObject([{ kind: "forward", to: "us", command: { kind: "open" } }]);
    expect(provisional).toBe(true);
    expect(bench.presence.presence("ann").sessions.map((one) => one.session)).toEqual([session]);
    const later: Session = { ...sessionOf("later", "eu"), policy: "single" };
    const mine = appended.flatMap((command) => (command.kind === "forward" ? [command.command] : []));
    const [open] = mine.filter((command): command is Open => command.kind === "open");
    if (open === undefined) throw new Error("no open was forwarded");
    bench.peer("us", accept("cn", 0, 1, open), { kind: "open", user: "ann", session: later });
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "kicked", by: "later" });
  });

  it("is closed by name, not by time: clocks an hour apart decide nothing", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("ann");
    const past: Session = { ...FAR, sinceMs: FAR.sinceMs - 3_600_000 };
    bench.log.push([accept("us", 0, 1, { kind: "open", user: "ann", session: past })]);
    bench.fold();
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "kicked", by: "far" });
    const late: Close = { kind: "close", user: "ann", session, reason: "expired", by: "" };
    bench.log.push([late]);
    bench.fold();
    expect(bench.presence.presence("ann").sessions.map((one) => one.session)).toEqual(["far"]);
  });
});
