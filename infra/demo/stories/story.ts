/**
 * A story under way: it says what happens, makes calls over HTTP, writes each call as one could type it and the part of the answer that
 * matters, and checks what it claims.
 * Rule: what is shown of an answer is what its shape names, and nothing is claimed without a look at an answer. A claim that does not hold is
 * said at once and at the end; an answer that is not the expected one ends the story.
 */
import { performance } from "node:perf_hooks";
import { styleText } from "node:util";
import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";
import type { RegionApi } from "../api.ts";
import type { Answer, HttpClient } from "../http.ts";
import { defined } from "../../../replicator/core/assert.ts";
import type { DemoRegion } from "../topology.ts";
import type { Traffic } from "../traffic.ts";
import { waitFor, type Look } from "../wait.ts";
import { answer, curl, expand, inBrief, PLACES, wrapped, type Call, type Place } from "./telling.ts";

/** The story cannot go on. */
export class StoryFailure extends Error {
  override readonly name = "StoryFailure";
}

export interface StoryParts {
  readonly apis: Readonly<Record<DemoRegion, RegionApi>>;
  /** Goes on beside the story. */
  readonly traffic: Traffic;
  readonly controlUrl: string;
  readonly http: HttpClient;
  readonly write: (text: string) => void;
  /** Whether what is written may have colours. */
  readonly colours: boolean;
  readonly signal: AbortSignal;
}

/** What is expected: the status, and the part of the body that matters. */
export interface Expected<T extends TSchema> {
  readonly status: number;
  readonly shape: T;
}

export interface Told<T> {
  readonly value: T;
  /** When the answer was here, by `performance.now()`. */
  readonly atMs: number;
  /** From the first byte sent to the last received; of a call that was repeated, from the first time. */
  readonly tookMs: number;
}

interface Reply {
  readonly answer: Answer;
  readonly atMs: number;
  readonly tookMs: number;
}

/** Columns before what is said. */
const TEXT = 2;
const AGAIN_MS = 5;
const AGAIN_TIMEOUT_MS = 30_000;

export class Story {
  readonly apis: Readonly<Record<DemoRegion, RegionApi>>;
  readonly traffic: Traffic;
  readonly signal: AbortSignal;
  private readonly parts: StoryParts;
  private readonly names = new Map<string, string>();
  private readonly broken: string[] = [];
  private failure: string | undefined;
  private claims = 0;
  private scenes = 0;

  constructor(parts: StoryParts) {
    this.parts = parts;
    this.apis = parts.apis;
    this.traffic = parts.traffic;
    this.signal = parts.signal;
  }

  /** What is told, and the addresses as the calls name them. */
  begin(text: string): void {
    this.write("");
    this.say(text);
    this.write("");
    this.say(
      "Every call below is made as it is written. To try one, give these names to a shell while the story runs. In answers a name stands for its value, and only what matters is shown. ✓ is a claim that was checked.",
    );
    for (const place of ["cn", "us", "eu", "control"] as const) this.name(PLACES[place], this.address(place));
  }

  scene(title: string, text: string): void {
    this.signal.throwIfAborted();
    this.write("");
    this.write(this.style("bold", `${++this.scenes}. ${title}`));
    this.say(text);
  }

  say(text: string): void {
    for (const line of wrapped(text, TEXT)) this.write(line);
  }

  /** From here on calls may use the value, and answers show it, by this name. */
  name(name: string, value: string): void {
    this.names.set(name, value);
    this.write(this.style("cyan", `${" ".repeat(TEXT)}$ ${name}=${value}`));
  }

  /** What the name stands for. */
  valueOf(name: string): string {
    return defined(this.names.get(name), `$${name} was given a value`);
  }

  async call<T extends TSchema>(call: Call, expected: Expected<T>): Promise<Told<Static<T>>> {
    this.writeCall(call);
    return this.told(call, expected, await this.send(call));
  }

  /** All at the same moment; answers in the order of the calls. */
  async callTogether<T extends TSchema>(
    calls: readonly Call[],
    expected: Expected<T>,
  ): Promise<Told<Static<T>>[]> {
    for (const call of calls) this.writeCall(call, "&");
    const sent = await Promise.all(calls.map(async (call) => [call, await this.send(call)] as const));
    return sent.map(([call, reply]) => this.told(call, expected, reply, `${call.at}: `));
  }

  /** The call again and again until its answer is the expected one and `isDone`; `progress` is written whenever it has changed. */
  async callUntil<T extends TSchema>(
    call: Call,
    expected: Expected<T>,
    {
      isDone = () => true,
      progress,
    }: { isDone?: (value: Static<T>) => boolean; progress?: (value: Static<T>) => string } = {},
  ): Promise<Told<Static<T>>> {
    this.writeCall(call, "# again and again");
    const startedMs = performance.now();
    const { signal } = this;
    const what = `${describe(call)} to be answered as expected`;
    const waiting = { what, timeoutMs: AGAIN_TIMEOUT_MS, everyMs: AGAIN_MS, signal };
    let times = 0;
    let before = "";
    const { value: reply } = await waitFor(waiting, async (): Promise<Look<Reply>> => {
      const sent = await this.send(call);
      times += 1;
      const matters = essence(expected, sent.answer);
      if (matters === undefined) return { done: false, seen: this.inBrief(sent.answer) };
      const now = progress?.(matters.part) ?? "";
      if (now !== before) this.say(`${((sent.atMs - startedMs) / 1_000).toFixed(1)} s: ${now}`);
      before = now;
      if (!isDone(matters.part)) return { done: false, seen: this.inBrief(sent.answer) };
      return { done: true, value: { ...sent, tookMs: sent.atMs - startedMs } };
    });
    return this.told(call, expected, reply, "", times === 1 ? "" : `, at try ${times}`);
  }

  claim(holds: boolean, text: string): void {
    this.claims += 1;
    if (!holds) this.broken.push(text);
    const lines = wrapped(`${holds ? "✓" : "✗ DOES NOT HOLD:"} ${text}`, TEXT, 2);
    for (const line of lines) this.write(this.style(holds ? "green" : "red", line));
  }

  /** The story could not be told to its end. */
  fail(why: string): void {
    this.failure = why;
  }

  /** What it comes to, if it held; whether all of it was told, and held. */
  end(summary: readonly string[]): boolean {
    const holds = this.broken.length === 0 && this.failure === undefined;
    const seconds = Math.round(performance.now() / 1_000);
    const verdicts = [
      ...(this.failure === undefined ? [] : [`THE STORY COULD NOT GO ON: ${this.failure}`]),
      ...this.broken.map((text) => `DID NOT HOLD: ${text}`),
      `${this.claims - this.broken.length} of ${this.claims} claims (✓) held, each checked against an answer; ${seconds} s from the start.`,
    ];
    this.write("");
    this.write(this.style("bold", "In short"));
    for (const line of holds ? summary : [])
      for (const each of wrapped(`- ${line}`, TEXT, 2)) this.write(each);
    for (const verdict of verdicts)
      for (const line of wrapped(verdict, TEXT)) this.write(this.style(holds ? "green" : "red", line));
    return holds;
  }

  private async send({ method, at, path, body }: Call): Promise<Reply> {
    this.signal.throwIfAborted();
    const startedMs = performance.now();
    const sent = expand(path, this.names);
    const said = await this.parts.http.send(method, this.address(at), sent, body);
    const atMs = performance.now();
    return { answer: said, atMs, tookMs: atMs - startedMs };
  }

  private told<T extends TSchema>(
    call: Call,
    expected: Expected<T>,
    { answer: said, atMs, tookMs }: Reply,
    prefix = "",
    suffix = "",
  ): Told<Static<T>> {
    const matters = essence(expected, said);
    if (matters === undefined) {
      const what = `${describe(call)} should be answered with ${expected.status} and the expected members`;
      throw new StoryFailure(`${what}, and is with ${this.inBrief(said)}`);
    }
    const heading = `${prefix}${expected.status} after ${Math.round(tookMs)} ms${suffix}`;
    for (const line of answer(heading, matters.part, this.names, TEXT)) this.write(line);
    return { value: matters.part, atMs, tookMs };
  }

  private inBrief(said: Answer): string {
    return said.ok ? `${said.status} ${inBrief(said.body, this.names)}` : said.reason;
  }

  private writeCall(call: Call, end = ""): void {
    const lines = curl(call, TEXT + 2).map((line) => line.slice(TEXT + 2));
    lines.forEach((line, index) => {
      const start = index === 0 ? "$ " : "  ";
      const tail = index === lines.length - 1 && end !== "" ? ` ${end}` : "";
      this.write(this.style("cyan", `${" ".repeat(TEXT)}${start}${line}${tail}`));
    });
  }

  private address(place: Place): string {
    return place === "control" ? this.parts.controlUrl : this.apis[place].url;
  }

  private style(style: "bold" | "cyan" | "green" | "red", text: string): string {
    return this.parts.colours ? styleText(style, text, { validateStream: false }) : text;
  }

  private write(line: string): void {
    this.parts.write(`${line}\n`);
  }
}

function describe({ method, path, at }: Call): string {
  return `${method} ${path} in ${at}`;
}

/** The part of the answer that matters; `undefined` where it is not the expected one. */
function essence<T extends TSchema>(
  { status, shape }: Expected<T>,
  said: Answer,
): { readonly part: Static<T> } | undefined {
  if (!said.ok || said.status !== status) return undefined;
  const part: unknown = Value.Clean(shape, structuredClone(said.body));
  return Value.Check(shape, part) ? { part } : undefined;
}
