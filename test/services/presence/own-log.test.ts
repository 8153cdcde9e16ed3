/** How long a node waits for the end of its region's log that a server has lost, and for somebody to vouch for it. */
import pino from "pino";
import { describe, expect, it } from "vitest";
import type { Fold } from "../../../replicator/core/fold.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { Replica } from "../../../replicator/core/replica.ts";
import { MemoryLogStore, MemoryServer } from "../../../replicator/log/memory.ts";
import type { OriginLog, Proof } from "../../../replicator/log/port.ts";
import { decodeFrame, encodeFrame } from "../../../replicator/wire/codec.ts";
import type { Place } from "../../../services/presence/follow.ts";
import { frame } from "../../core/samples.ts";
import { say } from "../../core/succeeded.ts";
import { OwnLog } from "../../../services/presence/own-log.ts";

const ENTRIES = 10;
const LOST = 8;
const VOUCH_MS = 2_000;

/** What the node has folded, and hears. */
interface Node {
  at: Place;
  alone: boolean;
  folds: readonly Fold[];
  unheard: string | undefined;
  kept: { readonly isOld: boolean } | string;
}

/** A log of which a node has folded all. Nothing of the log was lost yet. */
async function folded() {
  const now = { monoMs: 1_000, wallMs: 1_000 };
  const server = new MemoryServer();
  const store = new MemoryLogStore(server);
  const made = await store.openLog("cn", { create: true });
  if (!made.ok) throw new Error(made.detail);
  const { log } = made;
  const { logId } = log;
  const bytesOf = (position: number): Uint8Array =>
    encodeFrame({ region: "cn", logId, node: "n", committedAtMs: position, commands: [{ kind: "mark" }] });
  for (let position = 1; position <= ENTRIES; position++) await log.append(bytesOf(position), `m${position}`);
  const used: OriginLog[] = [];
  const withdrawn: string[] = [];
  const place: Node = {
    at: { logId, position: ENTRIES, checksum: 4_711 },
    alone: false,
    folds: new Replica(["cn", "us"]).folds,
    unheard: undefined,
    kept: { isOld: false },
  };
  const ownLog = new OwnLog({
    region: "cn",
    node: "n",
    store,
    clock: () => now,
    logger: pino({ level: "silent" }),
    at: () => place.at,
    further: async () => undefined,
    keep: async () => true,
    alone: () => place.alone,
    use: (one) => used.push(one),
    folds: () => place.folds,
    unheard: () => place.unheard,
    withdraw: (why) => withdrawn.push(why),
    aside: {
      keep: async () => place.kept,
      begun: () => undefined,
    },
  });
  const identity = async (): Promise<string> => {
    const found = await store.openLog("cn", { create: false });
    return found.ok ? found.log.logId : found.detail;
  };
  return { now, server, store, log, logId, ownLog, used, withdrawn, identity, bytesOf, place };
}

/** A log of which the node has folded all, and the server has lost the end; `putBack` brings the next of it back. */
async function lostEnd() {
  const world = await folded();
  const { server, log, logId, bytesOf } = world;
  server.loseTail("LOG_cn", LOST);
  let back = ENTRIES - LOST;
  const putBack = async (): Promise<void> => {
    back += 1;
    const done = await log.putBack({ position: back, logId, bytes: bytesOf(back) });
    if (!done.ok) throw new Error(done.detail);
  };
  return { ...world, putBack };
}

/** A log that was opened before the server stopped and came back with all of it. `known` says what is known of its end since. */
async function restarted(proof: Proof) {
  const world = await folded();
  const { server, ownLog, now, used, logId } = world;
  await ownLog.open();
  const [log] = used;
  if (log === undefined) throw new Error("it was not given out");
  const known = (one: Proof): void => void server.proofs.set(logId, one);
  const restart = (): void => {
    server.stop();
    server.start();
    known(proof);
  };
  restart();
  const asked = { times: 0 };
  const ask = log.proof.bind(log);
  log.proof = () => {
    asked.times += 1;
    return ask();
  };
  /** Ticks for so long, as a node does. */
  const pass = async (ms: number): Promise<void> => {
    const endMs = now.monoMs + ms;
    for (; now.monoMs <= endMs; now.monoMs += LIMITS.tickMs) {
      ownLog.tick();
      await new Promise(setImmediate);
    }
    now.monoMs = endMs;
  };
  const isAnotherAfter = async (ms: number): Promise<boolean> => {
    await pass(ms);
    return (await world.identity()) !== logId;
  };
  return { ...world, known, restart, asked, pass, isAnotherAfter };
}

describe("a log that lost its end", () => {
  it("is waited for as long as the end is on its way back, and then used again", async () => {
    const { now, logId, ownLog, used, identity, putBack } = await lostEnd();
    for (let i = 0; i < LOST; i++) {
      expect(await ownLog.open()).toMatchObject({ ok: false, reason: "unavailable" });
      now.monoMs += 2_500;
      await putBack();
    }
    expect(await ownLog.open()).toMatchObject({ ok: true });
    expect(used.map((log) => log.logId)).toEqual([logId]);
    expect(await identity()).toBe(logId);
  });

  it("is begun again when nothing more of the end comes back", async () => {
    const { now, logId, ownLog, used, identity, putBack } = await lostEnd();
    await ownLog.open();
    now.monoMs += 2_500;
    await putBack();
    await ownLog.open();
    now.monoMs += 2_900;
    await ownLog.open();
    expect(await identity()).toBe(logId);
    now.monoMs += 200;
    await ownLog.open();
    expect(await identity()).not.toBe(logId);
    expect(used).toEqual([]);
  });
});

describe("a log whose server was started again", () => {
  it("and whose end is proven is not asked about any more, until the connection changes", async () => {
    const { asked, isAnotherAfter, restart } = await restarted("proven");
    expect(await isAnotherAfter(10_000)).toBe(false);
    expect(asked.times).toBe(1);
    restart();
    expect(await isAnotherAfter(10_000)).toBe(false);
    expect(asked.times).toBe(2);
  });

  it("is asked about once at a time, and again where there was no answer", async () => {
    const { asked, pass, ownLog, server, known } = await restarted("proven");
    server.stop();
    for (let n = 0; n < 5; n++) ownLog.tick();
    expect(asked.times).toBe(1);
    await pass(500);
    expect(asked.times).toBeGreaterThan(5);
    const before = asked.times;
    server.start();
    known("proven");
    await pass(500);
    expect(asked.times).toBe(before + 1);
  });

  it("and of which nobody has more goes on as another when nobody has vouched for its end for 2 s", async () => {
    const { isAnotherAfter } = await restarted("compared");
    expect(await isAnotherAfter(VOUCH_MS - 50)).toBe(false);
    expect(await isAnotherAfter(50)).toBe(true);
  });

  it("stays the same where somebody vouches for its end within that time", async () => {
    const { known, isAnotherAfter } = await restarted("compared");
    expect(await isAnotherAfter(VOUCH_MS - 50)).toBe(false);
    known("proven");
    expect(await isAnotherAfter(10_000)).toBe(false);
  });

  it("is waited for anew from each time that the connection changes", async () => {
    const { isAnotherAfter, restart } = await restarted("compared");
    expect(await isAnotherAfter(VOUCH_MS - 50)).toBe(false);
    restart();
    expect(await isAnotherAfter(VOUCH_MS - 50)).toBe(false);
    expect(await isAnotherAfter(50)).toBe(true);
  });

  it("does not go on as another while the node has not folded all that is there", async () => {
    const { isAnotherAfter, place } = await restarted("compared");
    const { at } = place;
    place.at = { ...at, position: ENTRIES - 1 };
    expect(await isAnotherAfter(10_000)).toBe(false);
    place.at = at;
    expect(await isAnotherAfter(0)).toBe(true);
  });

  it("does not go on as another of which the node has folded nothing", async () => {
    const { isAnotherAfter, place } = await restarted("compared");
    place.at = { ...place.at, logId: "other" };
    expect(await isAnotherAfter(10_000)).toBe(false);
  });

  it("stays the same for as long as nobody has compared it, unless no peer is to be waited for", async () => {
    const { isAnotherAfter, place } = await restarted("none");
    expect(await isAnotherAfter(60_000)).toBe(false);
    place.alone = true;
    expect(await isAnotherAfter(VOUCH_MS - 50)).toBe(false);
    expect(await isAnotherAfter(50)).toBe(true);
  });

  it("that goes on as another begins with the place where the node's fold stands", async () => {
    const { isAnotherAfter, ownLog, used, store, logId, place, log } = await restarted("compared");
    expect(await isAnotherAfter(VOUCH_MS)).toBe(true);
    expect(await ownLog.open()).toMatchObject({ ok: true });
    const [, begun] = used;
    expect(begun?.logId).not.toBe(logId);
    const first = await begun?.entry(1);
    const decoded = first?.ok === true && first.entry !== undefined && decodeFrame(first.entry.bytes);
    expect(decoded).toMatchObject({
      ok: true,
      frame: { logId: begun?.logId, commands: [{ kind: "renewed", ...place.at }] },
    });
    expect(await begun?.append(new Uint8Array([1]), "new")).toMatchObject({ ok: true, position: 2 });
    expect(await log.append(new Uint8Array([1]), "old")).toMatchObject({ ok: false });
    const again = await store.openLog("cn", { create: false });
    expect(again.ok && again.log.logId).toBe(begun?.logId);
  });

  it("that was begun by another node already is used as it is", async () => {
    const { ownLog, used, store, logId, bytesOf } = await restarted("compared");
    const renewed = await store.renewLog("cn", logId);
    if (!renewed.ok) throw new Error(renewed.detail);
    const begun = { position: 1, logId: renewed.log.logId, bytes: bytesOf(1) };
    expect(await renewed.log.putBack(begun)).toMatchObject({ ok: true });
    expect(await ownLog.open()).toMatchObject({ ok: true });
    expect(used.at(-1)).toBe(renewed.log);
    expect(await renewed.log.extent()).toMatchObject({ ok: true, extent: { head: 1 } });
  });
});

describe("a log for which another region asks to go on", () => {
  it("does not go on as another before that is decided: the heir would go on from before it", async () => {
    const { isAnotherAfter, ownLog, place } = await restarted("compared");
    const replica = new Replica(["cn", "us"]);
    replica.apply("us", 1, frame("us", say("fence 1")));
    place.folds = replica.folds;
    expect(await isAnotherAfter(10_000)).toBe(false);
    expect(ownLog.lagging()).toContain("us asks to go on for cn");
    replica.apply("us", 2, frame("us", say("yield 1")));
    expect(await isAnotherAfter(VOUCH_MS)).toBe(true);
  });
});

/** cn stands for us, and this node has or has not folded all that cn's log says for us. */
function standing(isLevel: boolean): readonly Fold[] {
  const replica = new Replica(["cn", "us"]);
  replica.apply("us", 1, frame("us"));
  replica.apply("cn", 1, frame("cn", say("fence 1", "us")));
  const decided = frame("cn", say("succeed 1 of log-us at 1 sum 0", "us"));
  replica.apply("cn", 2, decided);
  if (isLevel) replica.apply("us", 2, decided);
  return replica.folds;
}

describe("a log that speaks for another region too", () => {
  it("does not go on as another while the node has not folded all that it says for that one", async () => {
    const { isAnotherAfter, place } = await restarted("compared");
    place.folds = standing(false);
    expect(await isAnotherAfter(10_000)).toBe(false);
    place.folds = standing(true);
    expect(await isAnotherAfter(0)).toBe(true);
  });

  it("is neither given up nor begun before, and says for whom it waits", async () => {
    const { now, logId, ownLog, identity, place, used } = await lostEnd();
    place.folds = standing(false);
    await ownLog.open();
    now.monoMs += 4_000;
    const waits = { ok: false, detail: expect.stringContaining("it is the log of us too") };
    expect(await ownLog.open()).toMatchObject(waits);
    expect(await identity()).toBe(logId);
    place.folds = standing(true);
    await ownLog.open();
    expect(await identity()).not.toBe(logId);
    place.folds = standing(false);
    expect(await ownLog.open()).toMatchObject(waits);
    expect(used).toEqual([]);
    place.folds = standing(true);
    expect(await ownLog.open()).toMatchObject({ ok: true });
  });
});

describe("a log that is opened before the peers in touch were heard", () => {
  it("is given out from when they are", async () => {
    const { ownLog, used, withdrawn, place } = await folded();
    place.unheard = "us was not heard";
    expect(await ownLog.open()).toMatchObject({ ok: true });
    ownLog.look();
    expect([used, withdrawn]).toEqual([[], ["us was not heard"]]);
    place.unheard = undefined;
    ownLog.look();
    ownLog.look();
    expect(used).toHaveLength(1);
  });
});
