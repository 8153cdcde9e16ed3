/** The sessions connected to a region for which another one stands: who is alive stays so, and whom a later login ended does not come back. */
import { beforeEach, describe, expect, it } from "vitest";
import { defined } from "../../../replicator/core/assert.ts";
import type { Close, Command, DeputedCommand } from "../../../replicator/core/commands.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { Replica } from "../../../replicator/core/replica.ts";
import { successionKey } from "../../../replicator/core/succession.ts";
import type { OpenInput } from "../../../services/presence/service.ts";
import { Bench, valueOf } from "../../core/presence-bench.ts";
import { REGIONS, accept, close, forward, frame, open, sessionOf } from "../../core/samples.ts";

/** More than a round of looking at all sessions. */
const ROUND_MS = LIMITS.reconcileMs + 1_000;

let bench = new Bench();
let session = "";
/** Of log-us. */
let position = 0;

/** us says so for cn, or decides it, in its own log, and both folds read it. */
function us(...commands: readonly (DeputedCommand | string)[]): void {
  const said = commands.map((one) =>
    typeof one === "string"
      ? ({ kind: "set", key: successionKey("cn"), value: one, by: "op", reason: "lost" } as const)
      : ({ kind: "deputed", region: "cn", command: one } as const),
  );
  append(...said);
}

function append(...commands: readonly Command[]): void {
  position += 1;
  bench.presence.folded("us", position, frame("us", ...commands));
  const isCns = bench.presence.node.replica.fold("cn")?.logId === "log-us" || commands.some(isSucceed);
  if (isCns) bench.presence.folded("cn", position, frame("us", ...commands));
}

function isSucceed(command: Command): boolean {
  return command.kind === "set" && command.value.startsWith("succeed");
}

function pass(ms: number): void {
  for (let done = 0; done < ms; done += LIMITS.tickMs) {
    bench.ms += LIMITS.tickMs;
    bench.presence.heartbeat(session);
    bench.presence.tick();
  }
}

/** Kinds of the commands that wait to be appended. */
function asked(): string[] {
  return bench.asked.flatMap(({ commands }) => commands.map(({ kind }) => kind));
}

function freshness(): string {
  return bench.presence.presence("ann").freshness;
}

/** A node of cn, with one session, which its log has. */
async function connect(input: OpenInput): Promise<void> {
  bench = new Bench().caughtUp();
  const opening = bench.presence.openSession(input);
  await bench.settle();
  bench.fold();
  session = valueOf(await opening).session;
  position = 0;
}

/** ann is connected to cn, which is cut off; us goes on from where all of that is known. */
beforeEach(async () => {
  await connect({ user: "ann", policy: "single" });
  bench.canAppend = false;
  us("fence 1");
  const at = bench.presence.node.replica.fold("cn")?.position;
  us(`succeed 1 of log-cn at ${at} sum 0`);
  if (bench.presence.node.replica.fold("cn")?.logId !== "log-us") throw new Error("us does not stand for cn");
});

describe("a session of a region that another one stands for", () => {
  it("that is ended as nobody heard its heartbeats is alive here, and opened again when the region writes", async () => {
    us(close("ann", session, "expired"));
    expect(bench.presence.heartbeat(session)).toBeUndefined();
    expect(bench.status("ann")).toBe("online");
    us("yield 1");
    bench.canAppend = true;
    pass(ROUND_MS);
    const commands = bench.asked.flatMap((one) => one.commands);
    expect(commands).toContainEqual(
      expect.objectContaining({ kind: "open", session: expect.objectContaining({ session }) }),
    );
  });

  it("that is missing in a replica which takes the place of one that went astray is shown as before", () => {
    const replica = new Replica(REGIONS.toSorted());
    bench.presence.step({ kind: "adopt", replica, astray: true });
    expect(replica.view("ann")).toBeUndefined();
    expect(bench.status("ann")).toBe("online");
  });

  it("that is missing there while it is being changed is shown as before", () => {
    void bench.presence.updateSession(session, { status: "busy" });
    bench.presence.step({ kind: "adopt", replica: new Replica(REGIONS.toSorted()), astray: true });
    expect(bench.status("ann")).toBe("online");
  });

  it("is told as stale, in its own region too, until that has its log again, with the session in it", async () => {
    expect(freshness()).toBe("stale");
    pass(2 * LIMITS.unknownAfterMs);
    expect(freshness()).toBe("stale");
    us(close("ann", session, "expired"));
    us("yield 1");
    await bench.settle("lost");
    bench.canAppend = true;
    pass(LIMITS.watermarkMs);
    expect(freshness()).toBe("stale");
    await bench.settle();
    pass(LIMITS.watermarkMs);
    expect(freshness()).toBe("live");
  });

  it("that its user closed is over", () => {
    us(close("ann", session, "logout"));
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "logout", by: "" });
  });

  it("is over once a later login ends it, though no log has it any more", () => {
    us(close("ann", session, "expired"));
    pass(ROUND_MS);
    us(open("ann", { ...sessionOf("s9", "us"), policy: "single" }));
    pass(ROUND_MS);
    expect(bench.presence.heartbeat(session)).toEqual({ reason: "kicked", by: "s9" });
  });
});

describe("a region that another one stood for, and closed a session of", () => {
  /** Its node has looked for missing sessions, and could not open any. */
  beforeEach(async () => {
    us(close("ann", session, "expired"));
    pass(LIMITS.tickMs);
    us("yield 1");
    await bench.settle("lost");
    bench.canAppend = true;
  });

  it("is not heard before it has looked for the sessions that its log lacks", () => {
    pass(LIMITS.reconcileMs / 2);
    expect(asked()).toEqual([]);
  });

  it("is heard again when its log has the session", async () => {
    bench.presence.healing.hurry();
    pass(LIMITS.watermarkMs);
    expect(asked()).toEqual(["open"]);
    await bench.settle();
    pass(LIMITS.watermarkMs);
    expect(asked()).toContain("watermark");
  });

  it("is heard again without being told to look, a round later", async () => {
    pass(ROUND_MS);
    expect(asked()).toEqual(["open"]);
    await bench.settle();
    pass(LIMITS.watermarkMs);
    expect(asked()).toContain("watermark");
  });

  it("is not heard when the session could not be opened again, which is tried again at once", async () => {
    bench.presence.healing.hurry();
    pass(LIMITS.tickMs);
    await bench.settle("lost");
    pass(LIMITS.watermarkMs);
    expect(asked()).toEqual(["open"]);
  });

  it("is not heard while the session is being changed, and then opens it again", async () => {
    void bench.presence.updateSession(session, { status: "busy" });
    bench.presence.healing.hurry();
    pass(LIMITS.watermarkMs);
    expect(asked()).toEqual(["update"]);
    await bench.settle();
    pass(LIMITS.watermarkMs);
    expect(asked()).toEqual(["open"]);
    await bench.settle();
    pass(LIMITS.watermarkMs);
    expect(asked()).toContain("watermark");
  });
});

function expiry(): Close {
  return close("bob", session, "expired");
}

describe("a session whose home, another region, has its expiry from who stood for the session's region", () => {
  /** bob is connected to cn and lives in us; what us says of him for cn, it has not taken in itself. */
  beforeEach(async () => {
    await connect({ user: "bob", home: "us" });
    bench.canAppend = false;
    us("fence 1");
    append(accept("cn", 0, 1, open("bob", session)));
    us(`succeed 1 of log-cn at ${bench.log.length} sum 0`);
    us(forward("us", expiry()));
    pass(LIMITS.tickMs);
    us("yield 1");
    await bench.settle("lost");
    bench.canAppend = true;
  });

  it("lives on when the home takes it in, and is opened again before its region is heard", () => {
    append(accept("cn", 1, 2, expiry()));
    expect(bench.presence.heartbeat(session)).toBeUndefined();
    expect(bench.status("bob")).toBe("online");
    pass(LIMITS.watermarkMs);
    expect(asked()).toEqual(["forward"]);
  });

  it("is opened again behind it, and lives on when the home takes it in later", async () => {
    bench.presence.healing.hurry();
    pass(LIMITS.watermarkMs);
    expect(asked()).toEqual(["forward"]);
    const again = await bench.settle();
    const { logId, checksum } = defined(bench.presence.node.replica.fold("cn"), "it is there");
    const begins: Command = { kind: "renewed", logId, position, checksum };
    for (const [index, command] of [begins, ...again].entries())
      bench.presence.folded("cn", index + 1, { ...frame("cn", command), logId: "log-cn-2" });
    pass(LIMITS.watermarkMs);
    expect(asked()).toContain("watermark");
    append(accept("cn", 1, 2, expiry()));
    expect(bench.presence.heartbeat(session)).toBeUndefined();
    append(accept("cn", 2, 3, open("bob", session)));
    expect(bench.status("bob")).toBe("online");
  });

  it("that the home does not have lives on all the same", () => {
    append(accept("cn", 1, 2, close("bob", session, "expired")), accept("cn", 2, 3, expiry()));
    expect(bench.presence.heartbeat(session)).toBeUndefined();
  });
});

it("a session whose home has its expiry before its region knows of any heir lives on", async () => {
  await connect({ user: "bob", home: "us" });
  bench.peer("us", accept("cn", 0, 1, open("bob", session)), accept("cn", 1, 2, expiry()));
  expect(bench.presence.heartbeat(session)).toBeUndefined();
  expect(bench.status("bob")).toBe("online");
  bench.peer("us", accept("cn", 2, 3, expiry()));
  expect(bench.presence.heartbeat(session)).toBeUndefined();
  const again = await bench.pass(ROUND_MS, () => bench.presence.heartbeat(session));
  expect(again).toContainEqual(expect.objectContaining({ kind: "forward", to: "us" }));
});

it("a session that another node of its region ended is over", async () => {
  await connect({ user: "cleo" });
  bench.log.push([close("cleo", session, "expired")]);
  bench.fold();
  expect(bench.presence.heartbeat(session)).toEqual({ reason: "expired", by: "" });
});
