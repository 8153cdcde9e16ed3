/**
 * Row 28: slowloris. 1,000 sockets send a request at one byte a second, some its headers, some its body, and come back as soon as they
 * are cut off. Rule: each is cut off within 15 s, and the others' p99 is at most twice what it was before.
 */
import { connect } from "node:net";
import { performance } from "node:perf_hooks";
import { pause } from "../health.ts";
import { atLeast, atMost, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import { Caller, pace, type Call, type Paced } from "./support/caller.ts";

const SOCKETS = 1_000;
const CUT_OFF_MS_MAX = 15_000;
const ATTACK_MS = { quick: 25_000, full: 60_000 };
const OTHERS_PER_SECOND = 100;
const OTHERS_MS = 10_000;
const P99_RATIO_MAX = 2;
/** Below this a p99 is the noise of a busy machine, not the node's. */
const P99_FLOOR_MS = 5;
const BYTE_EVERY_MS = 1_000;
/** Opened over this long, so that opening them is not the fault. */
const RAMP_MS = 2_000;

const HEADERS = "GET /v1/users/ann/presence HTTP/1.1\r\nHost: x\r\nX-Filler: " + "x".repeat(4_000);
const BODY =
  'POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{"user":"' +
  "x".repeat(4_000);
/** A body's headers are sent at once; the body drips. */
const BODY_AT_ONCE = BODY.indexOf("{");

export const row: Row = { row: 28, fault: "slowloris, 1,000 sockets at 1 B/s", quick: false, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ regions: ["cn"] });
  const cn = stage.region("cn");
  const others = new Caller(cn.url);
  await load(others, 2_000);
  const before = await load(others, OTHERS_MS);
  const attack = new Attack(cn.url);
  attack.start();
  await pause(RAMP_MS + 1_000, stage.signal);
  const during = await load(others, OTHERS_MS);
  await pause(ATTACK_MS[quick ? "quick" : "full"] - OTHERS_MS - RAMP_MS, stage.signal);
  attack.stop();
  others.close();
  const { lives, open } = attack;
  const longestMs = Math.round(Math.max(...lives, attack.oldestMs()));
  say(
    `${lives.length} sockets cut off, ${open} open at a time at most; ` +
      `p99 before ${before.p99Ms.toFixed(1)} ms, during ${during.p99Ms.toFixed(1)} ms`,
  );
  const ratio = during.p99Ms / Math.max(P99_FLOOR_MS, before.p99Ms);
  return [
    atLeast("slow sockets at a time", open, SOCKETS),
    atLeast("slow sockets cut off", lives.length, SOCKETS),
    atMost("the longest lived ms", longestMs, CUT_OFF_MS_MAX),
    exactly("others' calls that failed", during.offered - during.good, 0),
    atMost("others' p99, times what it was", Math.round(ratio * 100) / 100, P99_RATIO_MAX),
  ];
}

/** Heartbeats and reads in turn. */
function load(caller: Caller, ms: number): Promise<Paced> {
  return pace(caller, { perSecond: OTHERS_PER_SECOND, ms, withinMs: 5_000 }, (i): Call => {
    const user = `u${i % 50}`;
    if (i % 2 === 0) return { method: "PUT", path: `/v1/users/${user}/heartbeat` };
    return { method: "GET", path: `/v1/users/${user}/presence` };
  });
}

class Attack {
  /** How long each socket lived that was cut off, in milliseconds. */
  readonly lives: number[] = [];
  /** Most sockets open at a time. */
  open = 0;
  readonly #port: number;
  readonly #born = new Map<object, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #stopped = false;

  constructor(url: string) {
    this.#port = Number(new URL(url).port);
  }

  start(): void {
    for (let i = 0; i < SOCKETS; i++) {
      const timer = setTimeout(() => this.#drip(i), (i * RAMP_MS) / SOCKETS);
      this.#timers.add(timer);
    }
  }

  /** Of the sockets that are open now. */
  oldestMs(): number {
    return Math.max(0, ...[...this.#born.values()].map((bornMs) => performance.now() - bornMs));
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
  }

  #drip(i: number): void {
    const socket = connect(this.#port, "127.0.0.1");
    const text = i % 2 === 0 ? HEADERS : BODY;
    let sent = i % 2 === 0 ? 1 : BODY_AT_ONCE;
    const timer = setInterval(() => {
      if (socket.writable) socket.write(text.charAt(sent++));
    }, BYTE_EVERY_MS);
    this.#timers.add(timer);
    socket.once("connect", () => {
      this.#born.set(socket, performance.now());
      this.open = Math.max(this.open, this.#born.size);
      socket.write(text.slice(0, sent));
    });
    // What it is told, and how it ends, is all one: it is over.
    socket.on("error", () => undefined);
    socket.resume();
    socket.once("close", () => {
      clearInterval(timer);
      this.#timers.delete(timer);
      const bornMs = this.#born.get(socket);
      this.#born.delete(socket);
      if (this.#stopped) return;
      if (bornMs !== undefined) this.lives.push(performance.now() - bornMs);
      this.#drip(i);
    });
  }
}
