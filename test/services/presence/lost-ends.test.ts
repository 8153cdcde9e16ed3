/** The log of a region for which another one stood: its end is kept, the log begun again, and what may still be said is said again. */
import pino from "pino";
import { beforeEach, describe, expect, it } from "vitest";
import type { ClientCommand, Command, Frame } from "../../../replicator/core/commands.ts";
import { Replica } from "../../../replicator/core/replica.ts";
import { successionKey } from "../../../replicator/core/succession.ts";
import { MemoryLogStore, MemoryServer } from "../../../replicator/log/memory.ts";
import type { OriginLog } from "../../../replicator/log/port.ts";
import { decodeFrame, encodeFrame } from "../../../replicator/wire/codec.ts";
import type { AppendOutcome } from "../../../services/presence/appender.ts";
import { LostEnds } from "../../../services/presence/lost-ends.ts";
import { OwnLog } from "../../../services/presence/own-log.ts";
import { placeIn } from "../../../services/presence/resync.ts";
import { REGIONS, close, frame, open, prefer, says, sessionOf } from "../../core/samples.ts";
import { until } from "./regions.ts";

const now = { monoMs: 1_000, wallMs: 1_000 };
const logger = pino({ level: "silent" });
const OK: AppendOutcome = { ok: true, logId: "L", position: 2 };
const FOLDED = [open("ann", "s1"), open("bob", "s2")];
const TAIL = [
  says("ann", "bob", "asked"),
  close("ann", "s1"),
  prefer("bob", "busy"),
  open("cleo", "s3"),
  open("dan", "s4"),
];

let server = new MemoryServer();
let store = new MemoryLogStore(server);
let replica = new Replica(REGIONS);
let oldId = "";
let written: ClientCommand[] = [];
let outcome: AppendOutcome = OK;
let used: OriginLog[] = [];
let withdrawn: string[] = [];

function decoded(bytes: Uint8Array): Frame {
  const one = decodeFrame(bytes);
  if (!one.ok) throw new Error(one.detail);
  return one.frame;
}

function decide(value: string): Command {
  return { kind: "set", key: successionKey("cn"), value, by: "op", reason: "lost" };
}

function us(position: number, command: Command, alsoForCn: boolean): void {
  const said = frame("us", command);
  const results = (alsoForCn ? ["us", "cn"] : ["us"]).map((region) => replica.apply(region, position, said));
  expect(new Set(results)).toEqual(new Set(["applied"]));
}

/** cn appended what is folded, and then its tail, of which nobody else heard; us stands for it. */
async function succeeded(): Promise<OriginLog> {
  const opened = await store.openLog("cn", { create: true });
  if (!opened.ok) throw new Error(opened.detail);
  const { log } = opened;
  oldId = log.logId;
  const frames = [FOLDED, ...TAIL.map((one) => [one])];
  for (const [index, commands] of frames.entries()) {
    const bytes = encodeFrame({ region: "cn", logId: oldId, node: "n", committedAtMs: 1, commands });
    await log.append(bytes, `m${index}`);
    if (index === 0) replica.apply("cn", 1, decoded(bytes));
  }
  const { checksum } = placeIn(replica, "cn");
  us(1, decide("fence 1"), false);
  us(2, decide(`succeed 1 of ${oldId} at 1 sum ${checksum.toString(16)}`), true);
  return log;
}

function lostEnds(): LostEnds {
  return new LostEnds({
    region: "cn",
    node: "n",
    store: store.snapshots(),
    clock: () => now,
    logger,
    replica: () => replica,
    alive: (session) => (session === "s4" ? sessionOf("s4") : undefined),
    write: async (commands) => {
      if (outcome.ok) written.push(...commands);
      return outcome;
    },
    reconcile: () => undefined,
  });
}

function ownLog(aside: LostEnds): OwnLog {
  return new OwnLog({
    region: "cn",
    node: "n",
    store,
    clock: () => now,
    logger,
    at: () => placeIn(replica, "cn"),
    folds: () => replica.folds,
    unheard: () => undefined,
    aside,
    alone: () => false,
    further: async () => undefined,
    keep: async () => true,
    use: (log) => used.push(log),
    withdraw: (detail) => withdrawn.push(detail),
  });
}

async function back(): Promise<{ own: OwnLog; aside: LostEnds }> {
  await succeeded();
  us(3, decide("yield 1"), true);
  const aside = lostEnds();
  return { own: ownLog(aside), aside };
}

async function identity(): Promise<string> {
  const found = await store.openLog("cn", { create: false });
  return found.ok ? found.log.logId : found.detail;
}

beforeEach(() => {
  server = new MemoryServer();
  store = new MemoryLogStore(server);
  replica = new Replica(REGIONS);
  written = [];
  used = [];
  withdrawn = [];
  outcome = OK;
});

describe("the log of a region for which another one stands", () => {
  it("is not used, nor given up, until the region's fold is at the end of what the heir says", async () => {
    await succeeded();
    const own = ownLog(lostEnds());
    expect(await own.open()).toMatchObject({
      ok: false,
      detail: expect.stringMatching(/^us stands for cn since /),
    });
    us(3, decide("yield 1"), false);
    expect(await own.open()).toMatchObject({ ok: false, detail: expect.stringMatching(/^us stood for cn/) });
    expect(own.isSettled()).toBe(true);
    expect(used).toEqual([]);
    expect(await identity()).toBe(oldId);
  });

  it("is taken away where it is in use already", async () => {
    const opened = await store.openLog("cn", { create: true });
    expect(opened.ok).toBe(true);
    const own = ownLog(lostEnds());
    await own.open();
    expect(used).toHaveLength(1);
    await succeeded();
    own.look();
    own.look();
    expect(withdrawn).toEqual([expect.stringMatching(/^us stands for cn since /)]);
    server.proofs.set(oldId, "compared");
    for (let ticks = 0; ticks < 100; ticks++, now.monoMs += 50) own.tick();
    expect(used).toHaveLength(1);
    expect(await identity()).toBe(oldId);
  });

  it("is read, and no more, while the region's fold has still to come to where it stopped to count", async () => {
    await succeeded();
    const [behind, said] = [new Replica(REGIONS), replica.fold("us")?.audit ?? []];
    const opened = await store.openLog("cn", { create: false });
    const first = opened.ok ? await opened.log.entry(1) : opened;
    if (!first.ok || first.entry === undefined) throw new Error("it holds its first frame");
    behind.apply("cn", 1, decoded(first.entry.bytes));
    const { checksum } = placeIn(behind, "cn");
    behind.apply("us", 1, frame("us", decide(said[0]?.value ?? "")));
    behind.apply("us", 2, frame("us", decide(`succeed 1 of ${oldId} at 2 sum ${checksum.toString(16)}`)));
    replica = behind;
    expect(await ownLog(lostEnds()).open()).toMatchObject({ ok: true });
    expect(used).toEqual([]);
  });
});

describe("a region that comes back", () => {
  it("keeps the end of its log, begins it again where the heir ended, and says again what it may", async () => {
    const { own, aside } = await back();
    const { logId, position, checksum } = placeIn(replica, "cn");
    expect(await aside.report()).toBeUndefined();
    expect(await own.open()).toMatchObject({ ok: false, reason: "unavailable" });
    expect(await identity()).not.toBe(oldId);
    expect(await aside.report()).toMatchObject({ finished: false, generation: 1, frames: TAIL.length });
    expect(await own.open()).toMatchObject({ ok: true });
    const [log] = used;
    const begun = await log?.entry(1);
    const bytes = begun?.ok === true ? begun.entry?.bytes : undefined;
    expect(bytes && decoded(bytes).commands).toEqual([{ kind: "renewed", logId, position, checksum }]);
    await until("all is gone through", () => server.snapshots.size === 2);
    expect(written).toEqual(TAIL.slice(0, 3));
    expect(await aside.report()).toMatchObject({
      finished: true,
      users: 4,
      counts: {
        friends: { again: 1 },
        closed: { again: 1 },
        preferred: { again: 1 },
        opened: { lost: 1, back: 1 },
      },
      listed: expect.arrayContaining([
        { user: "cleo", items: [{ what: "opened", became: "lost", why: expect.any(String) }] },
      ]),
    });
    await aside.stop();
  }, 30_000);

  it("that stops between keeping and beginning goes on from what is kept", async () => {
    const { aside } = await back();
    const opened = await store.openLog("cn", { create: false });
    if (!opened.ok) throw new Error(opened.detail);
    expect(await aside.keep(opened.log, 1)).toEqual({ isOld: true });
    const [kept] = server.snapshots.values();
    const again = lostEnds();
    const own = ownLog(again);
    await own.open();
    const [unchanged] = server.snapshots.values();
    expect(unchanged).toBe(kept);
    expect(await own.open()).toMatchObject({ ok: true });
    await again.stop();
  });

  it("that stops before all is gone through goes through it again", async () => {
    const { own, aside } = await back();
    outcome = { ok: false, reason: "unavailable", detail: "down" };
    await own.open();
    await own.open();
    await aside.stop();
    expect(server.snapshots.size).toBe(1);
    outcome = OK;
    const again = lostEnds();
    again.begun();
    await until("all is gone through", () => server.snapshots.size === 2);
    expect(written).toEqual(TAIL.slice(0, 3));
    again.begun();
    await again.stop();
    expect(written).toHaveLength(3);
  }, 30_000);

  it("does not give its log up where its end cannot be kept", async () => {
    const { own } = await back();
    server.truncate("LOG_cn", 2);
    server.loseTail("LOG_cn", 0);
    const opened = await store.openLog("cn", { create: false });
    if (!opened.ok) throw new Error(opened.detail);
    const entry = opened.log.entry.bind(opened.log);
    opened.log.entry = async (position) =>
      position === 4 ? { ok: false, reason: "unavailable", detail: "no answer" } : entry(position);
    expect(await own.open()).toMatchObject({ ok: false, detail: expect.stringContaining("no answer") });
    expect(await identity()).toBe(oldId);
    expect(server.snapshots.size).toBe(0);
  });

  it("uses a log that another node has begun since as it is", async () => {
    const { own, aside } = await back();
    await own.open();
    await own.open();
    const other = ownLog(aside);
    expect(await other.open()).toMatchObject({ ok: true });
    expect(used[1]?.logId).toBe(used[0]?.logId);
    expect(await used[0]?.extent()).toMatchObject({ extent: { head: 1 } });
    await aside.stop();
  });
});
