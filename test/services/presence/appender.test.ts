/** Group commit against a fake log: order across retries, one message id per frame, nothing sent twice, bounded, honest outcomes. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LIMITS } from "../../../replicator/core/limits.ts";
import type { AppendResult, OriginLog } from "../../../replicator/log/port.ts";
import { decodeFrame } from "../../../replicator/wire/codec.ts";
import { Appender } from "../../../services/presence/appender.ts";
import type { AppendOutcome } from "../../../services/presence/appender.ts";
import { open } from "../../core/samples.ts";

type Answer = AppendResult | "wait";
const OK: Answer = { ok: true, position: 0, duplicate: false };
const DOWN: Answer = { ok: false, reason: "unavailable", detail: "no answer" };

/** A log that answers as it is told, and otherwise stores. */
class FakeLog {
  readonly region = "cn";
  readonly logId = "log-cn";
  readonly sent: { messageId: string; users: string[]; atMs: number }[] = [];
  answers: Answer[] = [];
  otherwise: Answer = OK;
  #head = 0;
  #waiting: ((result: AppendResult) => void) | undefined;

  append(bytes: Uint8Array, messageId: string): Promise<AppendResult> {
    const decoded = decodeFrame(bytes);
    if (!decoded.ok) throw new Error(decoded.detail);
    const { commands } = decoded.frame;
    this.sent.push({
      messageId,
      users: commands.map((one) => (one.kind === "open" ? one.user : one.kind)),
      atMs: ms,
    });
    const answer = this.answers.shift() ?? this.otherwise;
    if (answer === "wait") return new Promise((resolve) => (this.#waiting = resolve));
    return Promise.resolve(answer.ok ? { ...answer, position: (this.#head += 1) } : answer);
  }

  answer(result: AppendResult): void {
    this.#waiting?.(result);
  }

  /** Users in the order of the frames' first sending. */
  get users(): string[] {
    const seen = new Set<string>();
    return this.sent.flatMap(({ messageId, users }) =>
      seen.has(messageId) ? [] : (seen.add(messageId), users),
    );
  }
}

let ms = 0;
let connected = true;
let log = new FakeLog();
let appender = newAppender();

function clock(): { monoMs: number; wallMs: number } {
  return { monoMs: ms, wallMs: 1_000_000 + ms };
}

function unused(): never {
  throw new Error("the appender only appends");
}

function newAppender(): Appender {
  const made = new Appender({ region: "cn", node: "cn-1", clock, connected: () => connected });
  const port: OriginLog = {
    region: log.region,
    logId: log.logId,
    append: (bytes, messageId) => log.append(bytes, messageId),
    extent: unused,
    read: unused,
    entry: unused,
    truncate: unused,
    putBack: unused,
    proof: unused,
    compared: unused,
  };
  made.use(port);
  return made;
}

/** Time passes for clock and timers alike, a millisecond at a time where it matters. */
async function pass(byMs: number, stepMs = Math.min(byMs, 50)): Promise<void> {
  for (let done = 0; done < byMs; done += stepMs) {
    ms += stepMs;
    await vi.advanceTimersByTimeAsync(stepMs);
  }
}

/** What became of an append, `undefined` while it is open. */
function append(...users: string[]): { outcome: AppendOutcome | undefined } {
  const result: { outcome: AppendOutcome | undefined } = { outcome: undefined };
  void appender
    .append(users.map((user) => open(user, `s-${user}`)))
    .then((outcome) => (result.outcome = outcome));
  return result;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  ms = 1_000;
  connected = true;
  log = new FakeLog();
  appender = newAppender();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("gathering", () => {
  it("commands of 3 ms become one frame, and every caller gets its position", async () => {
    const results = [append("a"), append("b", "c"), append("d")];
    expect(log.sent).toEqual([]);
    await pass(LIMITS.frameLingerMs, 1);
    expect(log.sent.map(({ users }) => users)).toEqual([["a", "b", "c", "d"]]);
    for (const { outcome } of results) expect(outcome).toEqual({ ok: true, logId: "log-cn", position: 1 });
    expect(appender.stats).toMatchObject({ frames: 1, commands: 4 });
  });

  it("a full frame is sent without lingering", async () => {
    void appender.append(Array.from({ length: 3_000 }, (_, n) => open(`user-${n}`, `session-${n}`)));
    await pass(0);
    await Promise.resolve();
    expect(log.sent.length).toBeGreaterThanOrEqual(1);
  });

  it("one frame is under way at a time; what comes meanwhile is the next", async () => {
    log.answers = ["wait"];
    const first = append("a");
    await pass(3, 1);
    const second = append("b");
    await pass(1_000);
    expect(log.sent.map(({ users }) => users)).toEqual([["a"]]);
    expect([first.outcome, second.outcome]).toEqual([undefined, undefined]);
    log.answer({ ok: true, position: 41, duplicate: false });
    await pass(3, 1);
    expect(log.sent.map(({ users }) => users)).toEqual([["a"], ["b"]]);
    expect(first.outcome).toMatchObject({ ok: true, position: 41 });
    expect(second.outcome).toMatchObject({ ok: true });
  });
});

describe("a frame whose outcome is unknown", () => {
  it("is retried with the same message id, before anything later", async () => {
    log.answers = [DOWN, DOWN, DOWN];
    const first = append("a");
    await pass(3, 1);
    const second = append("b");
    await pass(600);
    expect(log.sent.map(({ users }) => users)).toEqual([["a"], ["a"], ["a"], ["a"], ["b"]]);
    expect(new Set(log.sent.slice(0, 4).map(({ messageId }) => messageId)).size).toBe(1);
    expect(log.sent[4]?.messageId).not.toBe(log.sent[0]?.messageId);
    expect([first.outcome?.ok, second.outcome?.ok]).toEqual([true, true]);
  });

  it("its callers are told after 2 s, once; it is retried on, so that what follows stays behind it", async () => {
    log.otherwise = DOWN;
    const result = append("a");
    await pass(LIMITS.appendTimeoutMs - 100);
    expect(result.outcome).toBeUndefined();
    await pass(300);
    expect(result.outcome).toMatchObject({ ok: false, reason: "unanswered" });
    await pass(30_000);
    expect(appender.stats.failures.get("unanswered")).toBe(1);
    expect(new Set(log.sent.map(({ messageId }) => messageId)).size).toBe(1);
    log.otherwise = OK;
    const later = append("b");
    await pass(300);
    expect(later.outcome).toMatchObject({ ok: true });
    expect(log.users).toEqual(["a", "b"]);
  });

  it("is not sent any more after 90 s, when the server may soon forget its id", async () => {
    log.otherwise = DOWN;
    append("a");
    const madeMs = ms;
    await pass(120_000, 100);
    const last = log.sent.at(-1)?.atMs ?? 0;
    expect(last - madeMs).toBeGreaterThan(85_000);
    expect(last - madeMs).toBeLessThanOrEqual(90_200);
  });

  it("is not sent again after the process stood still for two minutes between two tries", async () => {
    log.otherwise = DOWN;
    const result = append("a");
    await pass(1_000);
    const before = log.sent.length;
    ms += 120_000;
    await vi.advanceTimersByTimeAsync(100);
    await pass(1_000);
    expect(log.sent).toHaveLength(before);
    expect(result.outcome).toMatchObject({ ok: false, reason: "unanswered" });
  });

  it("a duplicate found by the server is as good as stored", async () => {
    log.answers = [DOWN, { ok: true, position: 0, duplicate: true }];
    const result = append("a");
    await pass(300);
    expect(result.outcome).toMatchObject({ ok: true, position: 1 });
  });

  it("failing is measured from the first failure, and over with the first success", async () => {
    log.otherwise = DOWN;
    append("a");
    await pass(503);
    expect(appender.failingMs()).toBeGreaterThanOrEqual(400);
    log.otherwise = OK;
    await pass(200);
    expect(appender.failingMs()).toBe(0);
  });
});

describe("frames never sent", () => {
  it("are given back as not done after their time, and never sent then", async () => {
    log.otherwise = DOWN;
    append("a");
    await pass(50);
    const waiting = append("b");
    await pass(LIMITS.appendTimeoutMs + 300);
    expect(waiting.outcome).toMatchObject({ ok: false, reason: "unavailable" });
    log.otherwise = OK;
    await pass(1_000);
    expect(log.users).toEqual(["a"]);
  });

  it("are kept while they are young, in their order", async () => {
    log.otherwise = DOWN;
    append("a");
    await pass(2_500);
    const young = [append("b"), append("c")];
    await pass(500);
    log.otherwise = OK;
    await pass(500);
    expect(young.map(({ outcome }) => outcome?.ok)).toEqual([true, true]);
    expect(log.users).toEqual(["a", "b", "c"]);
  });
});

describe("refusals", () => {
  it("what the server rejects for good fails at once and is not retried; the next goes on", async () => {
    log.answers = [{ ok: false, reason: "rejected", detail: "full" }];
    const first = append("a");
    await pass(3, 1);
    const second = append("b");
    await pass(100);
    expect(first.outcome).toEqual({ ok: false, reason: "rejected", detail: "full" });
    expect(second.outcome).toMatchObject({ ok: true });
    expect(log.sent).toHaveLength(2);
  });

  it("without a log or a connection nothing is queued", async () => {
    connected = false;
    const result = append("a");
    await pass(10);
    expect(result.outcome).toMatchObject({ ok: false, reason: "unavailable" });
    expect([appender.queuedBytes, log.sent.length]).toEqual([0, 0]);
  });

  it("the queue is bounded: beyond, appends are overloaded", async () => {
    log.answers = ["wait"];
    append("a");
    await pass(3, 1);
    const crowd = Array.from({ length: 1_000 }, (_, n) =>
      open(`user-${n}`, { ...open("u", `s${n}`).session, state: "x".repeat(250) }),
    );
    const outcomes: AppendOutcome[] = [];
    for (let n = 0; n < 200; n++) void appender.append(crowd).then((outcome) => outcomes.push(outcome));
    await pass(1, 1);
    const overloaded = outcomes.filter((one) => !one.ok && one.reason === "overloaded").length;
    expect(overloaded).toBeGreaterThan(0);
    expect(appender.queuedBytes).toBeLessThanOrEqual(LIMITS.appendQueueBytesMax + LIMITS.frameBytesMax);
    expect(appender.stats.failures.get("overloaded")).toBe(overloaded);
  });

  it("a stopped appender gives up what it has and takes nothing more", async () => {
    log.otherwise = DOWN;
    const results = [append("a")];
    await pass(150);
    results.push(append("b"));
    appender.stop();
    await pass(300);
    results.push(append("c"));
    await pass(300);
    expect(results.map(({ outcome }) => outcome?.ok)).toEqual([false, false, false]);
    expect(log.users).toEqual(["a"]);
  });
});

it("the order of commands is the order of appends, whatever fails in between", async () => {
  const expected: string[] = [];
  for (let n = 0; n < 60; n++) {
    if (n % 7 === 0) log.answers.push(DOWN, DOWN);
    const user = `user-${n}`;
    expected.push(user);
    append(user);
    await pass(n % 5 === 0 ? 20 : 1, 1);
  }
  await pass(3_000);
  expect(log.users).toEqual(expected);
});

describe("a log that is taken away", () => {
  it("gets nothing more: what was never sent is not done, and of what is under way nobody knows", async () => {
    log.answers = ["wait"];
    const underWay = append("a");
    await pass(3, 1);
    const waiting = append("b");
    appender.withdraw("us stands for cn");
    expect(appender.canAppend()).toBe(false);
    expect(appender.queuedBytes).toBe(0);
    log.answer({ ok: true, position: 41, duplicate: false });
    await pass(1_000);
    const later = append("c");
    await pass(1_000);
    expect(log.sent.map(({ users }) => users)).toEqual([["a"]]);
    expect(underWay.outcome).toMatchObject({ ok: false, reason: "unanswered", detail: "us stands for cn" });
    for (const { outcome } of [waiting, later])
      expect(outcome).toMatchObject({ ok: false, reason: "not-ready", detail: "us stands for cn" });
  });

  it("is not tried again with a frame that failed", async () => {
    log.answers = [DOWN];
    const failing = append("a");
    await pass(3, 1);
    appender.withdraw("us stands for cn");
    await pass(1_000);
    expect(log.sent).toHaveLength(1);
    expect(failing.outcome).toMatchObject({ ok: false, reason: "unanswered" });
  });
});
