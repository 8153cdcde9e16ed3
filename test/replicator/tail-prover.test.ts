/** With whom a region compares its log when its server was started. */
import pino from "pino";
import { beforeEach, describe, expect, it } from "vitest";
import { MemoryLogStore, MemoryServer } from "../../replicator/log/memory.ts";
import { UNPROVEN } from "../../replicator/log/port.ts";
import type { AppendResult } from "../../replicator/log/port.ts";
import { TailProver } from "../../replicator/tail-prover.ts";
import { until } from "../contract/recorder.ts";
import { frameOf, textIn } from "./frames.ts";

const server = new MemoryServer();
let servers = { cn: server, us: server, eu: server };
let nowMs = 0;

/** As a process does that knows nothing of what was. */
async function append(text: string): Promise<AppendResult> {
  const opened = await new MemoryLogStore(servers.cn).openLog("cn", { create: true });
  if (!opened.ok) throw new Error(opened.detail);
  return opened.log.append(frameOf(text, opened.log.logId), text);
}

/** Copies the log as it is now. */
async function copyTo(peer: "us" | "eu"): Promise<void> {
  const log = await new MemoryLogStore(servers.cn).openLog("cn", { create: false });
  const copy = await new MemoryLogStore(servers[peer]).openCopy("cn", { create: true });
  if (!log.ok || !copy.ok) throw new Error("not opened");
  for (let position = 1; ; position++) {
    const answer = await log.log.entry(position);
    if (!answer.ok || answer.entry === undefined) return;
    await copy.log.append(answer.entry, position - 1);
  }
}

function prover(): TailProver {
  return new TailProver({
    region: "cn",
    local: new MemoryLogStore(servers.cn),
    peers: new Map([
      ["us", new MemoryLogStore(servers.us)],
      ["eu", new MemoryLogStore(servers.eu)],
    ]),
    clock: () => ({ monoMs: nowMs, wallMs: nowMs }),
    logger: pino({ level: "silent" }),
  });
}

async function proofOf(): Promise<string> {
  const log = await new MemoryLogStore(servers.cn).openLog("cn", { create: false });
  const known = log.ok ? await log.log.proof() : log;
  return known.ok ? known.proof : known.detail;
}

/** Ticks until the log is known to have all that its peers have. */
async function compared(made: TailProver): Promise<void> {
  await until("the log is compared", async () => {
    nowMs += 250;
    made.tick();
    return (await proofOf()) === "compared";
  });
}

async function ticks(made: TailProver, ms: number): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += 250) {
    nowMs += 250;
    made.tick();
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  }
}

async function texts(): Promise<string[]> {
  const log = await new MemoryLogStore(servers.cn).openLog("cn", { create: false });
  if (!log.ok) throw new Error(log.detail);
  const found: string[] = [];
  for (let position = 1; ; position++) {
    const answer = await log.log.entry(position);
    if (!answer.ok || answer.entry === undefined) return found;
    found.push(textIn(answer.entry.bytes));
  }
}

beforeEach(async () => {
  servers = { cn: new MemoryServer(), us: new MemoryServer(), eu: new MemoryServer() };
  nowMs = 0;
  for (const text of ["a", "b", "c"]) await append(text);
  await copyTo("us");
  for (const text of ["d", "e"]) await append(text);
  await copyTo("eu");
});

/** Power loss: the server comes back with so much less. */
function losePower(entries: number): void {
  servers.cn.stop();
  servers.cn.loseTail("LOG_cn", entries);
  servers.cn.start();
}

describe("a log whose server was started", () => {
  it("is compared with all its peers' copies, and then has all that any of them had", async () => {
    const made = prover();
    losePower(4);
    expect(await append("too early")).toMatchObject({ ok: false, reason: "unavailable", detail: UNPROVEN });
    expect(await proofOf()).toBe("none");
    await compared(made);
    expect(await texts()).toEqual(["a", "b", "c", "d", "e"]);
  });

  it("waits for the second peer, which may have copied more, and not for ever", async () => {
    const made = prover();
    losePower(4);
    servers.eu.stop();
    await ticks(made, 4_500);
    expect(await proofOf()).toBe("none");
    await ticks(made, 1_000);
    await compared(made);
    expect(await texts()).toEqual(["a", "b", "c"]);
  });

  it("waits without end while no peer answers", async () => {
    const made = prover();
    losePower(1);
    servers.us.stop();
    servers.eu.stop();
    await ticks(made, 60_000);
    expect(await proofOf()).toBe("none");
    servers.eu.start();
    await compared(made);
    expect(await texts()).toEqual(["a", "b", "c", "d", "e"]);
  });

  it("is to be compared anew after each start", async () => {
    const made = prover();
    losePower(0);
    await compared(made);
    losePower(1);
    expect(await proofOf()).toBe("none");
    await compared(made);
    expect(await texts()).toEqual(["a", "b", "c", "d", "e"]);
  });
});
