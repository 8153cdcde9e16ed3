/** The line of reads and lists: who goes on at once, who waits, who is refused; on a clock and turns that move when told. */
import type { FastifyReply } from "fastify";
import { beforeEach, describe, expect, it } from "vitest";

import { LIMITS } from "../../../replicator/core/limits.ts";
import { buildGates } from "../../../services/presence/gates.ts";
import { Line } from "../../../services/presence/line.ts";
import { node } from "./http/fake.ts";

const gates = buildGates();
let nowMs = 0;
let soon: (() => void)[] = [];
let went: string[] = [];
let line: Line;

beforeEach(() => {
  [nowMs, soon, went] = [0, [], []];
  line = new Line(
    [gates.reads, gates.lists],
    () => nowMs,
    (work) => soon.push(work),
  );
});

/** Enters with a request that takes `tookMs` when it goes on. */
function enter(name: string, tookMs: number, reply: FastifyReply, gate: "reads" | "lists" = "reads"): void {
  line.enter(gates[gate], reply, () => {
    went.push(name);
    nowMs += tookMs;
  });
}

/** The loop comes round once. */
function turn(): void {
  for (const work of soon.splice(0)) work();
}

/** A reply of a real app, so that what is refused is really answered. */
async function withReply(test: (reply: FastifyReply) => void): Promise<number> {
  const { app } = node();
  app.get("/reply", (_request, reply) => {
    test(reply);
    return reply.sent ? reply : reply.code(204).send();
  });
  return (await app.inject("/reply")).statusCode;
}

describe("the line", () => {
  it("is empty while a turn has room", () =>
    withReply((reply) => {
      for (const name of ["a", "b", "c"]) enter(name, 3, reply);
      expect([went, line.length]).toEqual([["a", "b", "c"], 0]);
    }));

  it("takes what does not fit into the turn, and lets it go in the next ones, as many as fit", () =>
    withReply((reply) => {
      for (const name of ["a", "b", "c", "d", "e"]) enter(name, LIMITS.turnMs - 1, reply);
      expect([went, line.length]).toEqual([["a", "b"], 3]);
      turn();
      expect(went.length).toBeGreaterThan(2);
      turn();
      turn();
      expect([went, line.length]).toEqual([["a", "b", "c", "d", "e"], 0]);
    }));

  it("moves by one each turn at least, however long a request takes", () =>
    withReply((reply) => {
      for (const name of ["a", "b", "c"]) enter(name, 50, reply);
      expect(went).toEqual(["a"]);
      turn();
      turn();
      turn();
      expect(went).toEqual(["a", "b", "c"]);
    }));

  it("lets the higher class go first", () =>
    withReply((reply) => {
      enter("first", 50, reply);
      enter("list", 50, reply, "lists");
      enter("read", 50, reply, "reads");
      turn();
      turn();
      turn();
      expect(went).toEqual(["first", "read", "list"]);
    }));

  it("refuses who has waited longer than the class may", async () => {
    const status = await withReply((reply) => {
      enter("first", LIMITS.turnMs + 1, reply, "lists");
      enter("late", 1, reply, "lists");
      nowMs += LIMITS.shedListsMs + 1;
      turn();
      expect([went, line.length]).toEqual([["first"], 0]);
    });
    expect(status).toBe(503);
  });

  it("refuses who has waited too long while a higher class takes every turn", async () => {
    const status = await withReply((reply) => {
      enter("first", LIMITS.turnMs + 1, reply);
      enter("list", 1, reply, "lists");
      nowMs += LIMITS.shedListsMs + 1;
      for (const name of ["a", "b", "c", "d"]) enter(name, LIMITS.turnMs + 1, reply);
      turn();
      expect([went[1], reply.sent]).toEqual(["a", true]);
      expect(went).not.toContain("list");
    });
    expect(status).toBe(503);
  });

  it("is bounded: beyond, requests are refused at once", async () => {
    const status = await withReply((reply) => {
      enter("first", LIMITS.turnMs + 1, reply);
      for (let i = 0; i < LIMITS.lineMax; i++) enter("waits", 0, reply);
      expect([reply.sent, line.length]).toEqual([false, LIMITS.lineMax]);
      enter("beyond", 0, reply);
      expect([reply.sent, line.length]).toEqual([true, LIMITS.lineMax]);
    });
    expect(status).toBe(503);
  });
});
