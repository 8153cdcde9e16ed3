/** Following a log: the frame where the fold stands is compared before anything is folded behind it, at the start and after interruptions. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Replica } from "../../../replicator/core/replica.ts";
import { MemoryLogStore, MemoryServer } from "../../../replicator/log/memory.ts";
import type { LogStore, OriginLog } from "../../../replicator/log/port.ts";
import { encodeFrame } from "../../../replicator/wire/codec.ts";
import { Follower } from "../../../services/presence/follow.ts";
import { placeIn } from "../../../services/presence/resync.ts";
import { REGIONS, frame, open } from "../../core/samples.ts";

const STREAM = "LOG_cn";
/** A follower that stands still has tried again after this time. */
const AGAIN_MS = 1_500;
/** All that follows without a timer is over by then. */
const TURNS = 20;

let following: Follower | undefined;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});

afterEach(async () => {
  await following?.stop();
  vi.useRealTimers();
});

/** Lets everything happen that waits for no timer. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise(setImmediate);
}

async function opened(store: LogStore, create: boolean): Promise<OriginLog> {
  const found = await store.openLog("cn", { create });
  if (!found.ok) throw new Error(found.detail);
  return found.log;
}

/** A log of five frames, a replica, and what a follower of the one into the other did and said. */
class Scene {
  readonly server = new MemoryServer();
  readonly replica = new Replica(REGIONS);
  /** By position, in order, what was folded. */
  folded: number[] = [];
  /** From where the log was read. */
  reads: number[] = [];
  lost: string[] = [];
  /** As a copy is that was reset. */
  isEmptied = false;
  #written = 0;

  /** Appends frames of which no two are alike, as a writer does that knows nothing of those before. */
  async write(count: number): Promise<void> {
    const log = await opened(new MemoryLogStore(this.server), true);
    this.server.proofs.set(log.logId, "proven");
    for (let n = 0; n < count; n++) {
      this.#written += 1;
      const session = `s${this.#written}`;
      const bytes = encodeFrame({ ...frame("cn", open("ann", session)), logId: log.logId });
      const done = await log.append(bytes, session);
      if (!done.ok) throw new Error(done.detail);
    }
  }

  /** The log loses its newest frames, and so many others are appended before anybody reads on. */
  async fork(lost: number, others: number): Promise<void> {
    this.server.loseTail(STREAM, lost);
    await this.write(others);
  }

  /** Follows with another handle, from where the replica stands; forgets what was before. */
  async follow(): Promise<void> {
    await following?.stop();
    [this.folded, this.reads, this.lost] = [[], [], []];
    const store = new MemoryLogStore(this.server);
    following = new Follower({
      region: "cn",
      open: async () => {
        const log = await opened(store, false);
        return { ok: true, log: { ...log, extent: () => this.#extent(log), read: this.#reading(log) } };
      },
      source: () => ({ kind: "log", of: "cn" }),
      over: () => undefined,
      at: () => placeIn(this.replica, "cn"),
      fold: (position, folded) => {
        if (this.replica.apply("cn", position, folded) === "applied") this.folded.push(position);
      },
      trouble: () => undefined,
      lost: (detail) => this.lost.push(detail),
    });
    following.start();
    await settled();
  }

  async #extent(log: OriginLog): ReturnType<OriginLog["extent"]> {
    return this.isEmptied ? { ok: true, extent: { logId: "", first: 1, head: 0, bytes: 0 } } : log.extent();
  }

  #reading(log: OriginLog): OriginLog["read"] {
    return (from, handlers) => {
      this.reads.push(from);
      return log.read(from, handlers);
    };
  }

  get sessions(): string[] | undefined {
    return this.replica.view("ann")?.sessions.map(({ session }) => session.session);
  }
}

/** A scene in which all five frames were folded. */
async function five(): Promise<Scene> {
  const scene = new Scene();
  await scene.write(5);
  await scene.follow();
  expect(scene.folded).toEqual([1, 2, 3, 4, 5]);
  return scene;
}

async function again(): Promise<void> {
  await vi.advanceTimersByTimeAsync(AGAIN_MS);
  await settled();
}

const FORKED = /has another frame at 5 than the one folded/;

describe("a log is followed from where the fold stands", () => {
  it("beginning with the frame that is folded already, which is not folded again", async () => {
    const scene = await five();
    await scene.follow();
    expect([scene.reads, scene.folded]).toEqual([[5], []]);
    await scene.write(2);
    await settled();
    expect([scene.reads, scene.folded, scene.lost]).toEqual([[5], [6, 7], []]);
  });

  it("from its first frame where it is empty and may come to be another", async () => {
    const scene = await five();
    scene.isEmptied = true;
    await scene.follow();
    expect(scene.reads).toEqual([1]);
  });

  it("with the next one where that is not held any more, and with the first where nothing is folded", async () => {
    const scene = await five();
    scene.server.truncate(STREAM, 6);
    await scene.write(1);
    await scene.follow();
    expect([scene.reads, scene.folded, scene.lost]).toEqual([[6], [6], []]);
    const fresh = new Scene();
    await fresh.write(1);
    await fresh.follow();
    expect([fresh.reads, fresh.folded]).toEqual([[1], [1]]);
  });

  it("and on through an interruption, where it is still the same", async () => {
    const scene = await five();
    scene.server.stop();
    await settled();
    scene.server.start();
    await scene.write(2);
    await settled();
    await again();
    expect([scene.reads, scene.folded, scene.lost]).toEqual([[1], [1, 2, 3, 4, 5, 6, 7], []]);
  });
});

describe("a log that lost its end and went on otherwise", () => {
  it.each([
    ["ends where the fold stands", 1, 1],
    ["ends behind where the fold stands", 2, 5],
  ])("is lost and folded no further, at the start, where it %s", async (_what, lost, others) => {
    const scene = await five();
    await following?.stop();
    const before = scene.sessions;
    await scene.fork(lost, others);
    await scene.follow();
    expect(scene.lost).toMatchObject([expect.stringMatching(FORKED)]);
    await again();
    expect(scene.lost).toMatchObject([expect.stringMatching(FORKED), expect.stringMatching(FORKED)]);
    expect([scene.folded, scene.sessions]).toEqual([[], before]);
  });

  it("is lost after an interruption too, though the reader only goes on", async () => {
    const scene = await five();
    const before = scene.sessions;
    scene.server.stop();
    await settled();
    scene.server.start();
    await scene.fork(2, 4);
    await settled();
    expect(scene.reads).toEqual([1]);
    expect(scene.lost).toMatchObject([expect.stringMatching(FORKED)]);
    expect([scene.folded.slice(5), scene.sessions]).toEqual([[], before]);
    await scene.write(1);
    await again();
    expect(scene.lost).toHaveLength(2);
    expect(scene.sessions).toEqual(before);
  });

  it("is followed by a fold that stands before the fork", async () => {
    const scene = new Scene();
    await scene.write(3);
    await scene.follow();
    await following?.stop();
    await scene.write(2);
    await scene.fork(2, 3);
    await scene.follow();
    expect([scene.reads, scene.folded, scene.lost]).toEqual([[3], [4, 5, 6], []]);
    expect(scene.sessions).toEqual(["s1", "s2", "s3", "s6", "s7", "s8"]);
  });
});
