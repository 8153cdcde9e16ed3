/** Which node of a region begins its log again: the one that has folded most of it, of those that live. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryLogStore, MemoryServer } from "../../../replicator/log/memory.ts";
import { STANDING_TOPIC } from "../../../replicator/runtime/announcement.ts";
import type { Place } from "../../../services/presence/follow.ts";
import { Standing } from "../../../services/presence/standing.ts";

let server = new MemoryServer();
const made: Standing[] = [];

function nodeAt(node: string, at: Place | undefined): Standing {
  const standing = new Standing({ node, store: new MemoryLogStore(server), at: () => at });
  made.push(standing);
  return standing;
}

const place = (position: number, logId = "log-cn"): Place => ({ logId, position, checksum: 0 });

beforeEach(() => {
  server = new MemoryServer();
});

afterEach(() => {
  for (const standing of made.splice(0)) standing.stop();
});

describe("a node that is about to begin the log", () => {
  it("hears of a node that has more, and that one of nobody", async () => {
    const [less, more] = [nodeAt("a", place(5)), nodeAt("b", place(7))];
    expect([await less.further(), await more.further()]).toEqual(["b", undefined]);
  });

  it("without anything of the log, hears of whoever has something", async () => {
    nodeAt("b", place(1));
    expect(await nodeAt("a", { logId: "", position: 0, checksum: 0 }).further()).toBe("b");
  });

  it.each([
    ["as much", place(5)],
    ["more of another log", place(9, "log-cn-2")],
    ["more than there ever was, and knows it", undefined],
  ])("does not wait for one that has %s", async (_what, at) => {
    nodeAt("b", at);
    expect(await nodeAt("a", place(5)).further()).toBeUndefined();
  });

  it("does not wait for one that is gone, nor mind what nobody can read", async () => {
    nodeAt("b", place(7)).stop();
    const asking = nodeAt("a", place(5));
    const store = new MemoryLogStore(server);
    for (const text of ["{", "null", '{"node":"c","logId":"log-cn","position":"9"}'])
      store.announce(STANDING_TOPIC, Buffer.from(text));
    expect(await asking.further()).toBeUndefined();
  });
});
