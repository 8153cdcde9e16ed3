/** Two nodes of one region: what one has opened the other renews, changes and closes, however late it folds the log. */
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MemoryLogStore, MemoryServer } from "../../../replicator/log/memory.ts";
import type { Entry, Opened, OriginLog, ReadHandlers } from "../../../replicator/log/port.ts";
import { pause } from "../../../replicator/runtime/pause.ts";
import { startNode } from "../../../services/presence/node.ts";
import type { RunningNode } from "../../../services/presence/node.ts";
import { until } from "./regions.ts";

/** As the reader of a distant server: entries come so much later. While it is held, none come. */
class LateStore extends MemoryLogStore {
  lateMs = 0;
  #asks = 0;
  #held: Promise<void> = Promise.resolve();
  readonly #patched = new WeakSet<OriginLog>();

  /** How often the end of the log was asked for. */
  get asks(): number {
    return this.#asks;
  }

  hold(): () => void {
    const held: (() => void)[] = [];
    this.#held = new Promise((resolve) => held.push(resolve));
    return () => held.forEach((release) => release());
  }

  override async openLog(region: string, options: { create: boolean }): Promise<Opened<OriginLog>> {
    const opened = await super.openLog(region, options);
    if (!opened.ok || this.#patched.has(opened.log)) return opened;
    const { log } = opened;
    this.#patched.add(log);
    const read = log.read.bind(log);
    const extent = log.extent.bind(log);
    log.read = (from, handlers) => read(from, this.#late(handlers));
    log.extent = () => {
      this.#asks += 1;
      return extent();
    };
    return opened;
  }

  #late(handlers: ReadHandlers): ReadHandlers {
    const entry = async (one: Entry): Promise<void> => {
      await this.#held;
      if (this.lateMs > 0) await pause(this.lateMs);
      await handlers.entry(one);
    };
    return {
      entry,
      interrupted: (detail) => handlers.interrupted(detail),
      resumed: () => handlers.resumed(),
      broken: (reason, detail) => handlers.broken(reason, detail),
    };
  }
}

const ROUNDS = 50;

let server: MemoryServer;
let late: LateStore;
let nodes: RunningNode[];

function nodeOf(name: string, store: MemoryLogStore): Promise<RunningNode> {
  return startNode({
    region: "cn",
    peers: [],
    name,
    store,
    logger: pino({ level: "silent" }),
    keys: [],
    http: { host: "127.0.0.1", port: 0 },
  });
}

function at(index: 0 | 1): RunningNode {
  const node = nodes[index];
  if (node === undefined) throw new Error("not started");
  return node;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

async function call(index: 0 | 1, method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`${at(index).url}${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

let users = 0;

/** Opens a session at the first node. */
async function login(): Promise<string> {
  const opened = await at(0).presence.openSession({ user: `u${(users += 1)}` });
  if (!opened.ok) throw new Error(opened.problem.detail);
  return opened.value.session;
}

const beat = (session: string): Promise<Answer> => call(1, "POST", `/v1/sessions/${session}/heartbeat`);
const beats = (...sessions: string[]): Promise<Answer> => call(1, "POST", "/v1/heartbeats", { sessions });
const change = (session: string): Promise<Answer> =>
  call(1, "PATCH", `/v1/sessions/${session}`, { status: "busy" });
const close = (session: string): Promise<Answer> => call(1, "DELETE", `/v1/sessions/${session}`);

interface Sent {
  /** The node has looked for the session. */
  readonly arrived: Promise<void>;
  readonly answer: Promise<Answer>;
}

function sentTo({ presence }: RunningNode, ask: () => Promise<Answer>): Sent {
  const looks = [
    vi.spyOn(presence, "heartbeat"),
    vi.spyOn(presence, "updateSession"),
    vi.spyOn(presence, "closeSession"),
  ];
  const answer = ask();
  const arrived = until("the request has come", () => looks.some((look) => look.mock.calls.length > 0));
  return { arrived, answer };
}

const RENEWED: Answer = { status: 200, body: { renewed: 1, ended: [] } };
const CALLS = [
  ["a heartbeat", beat, { status: 204 }],
  ["a batch of heartbeats", (session: string) => beats(session), RENEWED],
  ["a change", change, { status: 200 }],
  ["a logout", close, { status: 200 }],
] as const;

beforeEach(async () => {
  server = new MemoryServer();
  late = new LateStore(server);
  nodes = [await nodeOf("cn-1", new MemoryLogStore(server)), await nodeOf("cn-2", late)];
  await until("both are ready", () => nodes.every(({ presence }) => presence.ready()));
});
afterEach(async () => {
  for (const node of nodes) await node.stop();
});

describe("a session that one node has just opened", () => {
  it.each(CALLS)("is known to the other when %s comes there next", async (_, ask, expected) => {
    late.lateMs = 5;
    for (let round = 0; round < ROUNDS; round += 1) expect(await ask(await login())).toMatchObject(expected);
  });

  it.each(CALLS)("is waited for by the other where its log comes late: %s", async (_, ask, expected) => {
    const release = late.hold();
    const session = await login();
    const asking = sentTo(at(1), () => ask(session));
    await asking.arrived;
    expect(at(1).presence.heartbeat(session)).toEqual({ reason: "unknown", by: "" });
    release();
    expect(await asking.answer).toMatchObject(expected);
  });

  it.each([
    ["a heartbeat", beat, { status: 410, body: { reason: "logout" } }],
    ["a batch of heartbeats", beats, { body: { renewed: 0, ended: [{ reason: "logout" }] } }],
    ["a change", change, { status: 410, body: { reason: "logout" } }],
    ["a logout", close, { status: 200 }],
  ] as const)("is over for the other too when it has ended since: %s", async (_, ask, expected) => {
    const release = late.hold();
    const session = await login();
    await at(0).presence.closeSession(session);
    const asking = sentTo(at(1), () => ask(session));
    await asking.arrived;
    release();
    expect(await asking.answer).toMatchObject(expected);
  });

  it("is not judged by a node that does not fold on, which says so in time", async () => {
    const known = await login();
    await until("the other knows the first", () => at(1).presence.heartbeat(known) === undefined);
    const release = late.hold();
    const session = await login();
    const answers = await Promise.all([
      beat(session),
      change(session),
      close(session),
      beats(session, known),
    ]);
    release();
    const refused = { status: 503, body: { type: "/problems/not-ready" } };
    const decided = { status: 200, body: { renewed: 1, ended: [], undecided: [session] } };
    expect(answers).toMatchObject([refused, refused, refused, decided]);
  });
});

describe("an id that nobody was given", () => {
  const unknown = { status: 404, body: { type: "/problems/unknown-session" } };

  it("is unknown", async () => {
    const answers = await Promise.all([beat("invented"), change("invented"), close("invented")]);
    expect(answers).toMatchObject([unknown, unknown, unknown]);
    const ended = [{ session: "invented", reason: "unknown" }];
    expect(await beats("invented")).toEqual({ status: 200, body: { renewed: 0, ended } });
  });

  it("costs the log's server no question of its own: a batch of them shares one", async () => {
    const sessions = Array.from({ length: 5_000 }, (_, i) => `invented-${i}`);
    const asksBefore = late.asks;
    const { body } = await beats(...sessions);
    expect(body).toEqual({ renewed: 0, ended: sessions.map((session) => ({ session, reason: "unknown" })) });
    // The node's own housekeeping asks now and then.
    expect(late.asks - asksBefore).toBeLessThan(10);
  });

  it("and could name no session needs no question at all", async () => {
    server.stop();
    const sessions = ["", "no such", "x".repeat(33)];
    const ended = sessions.map((session) => ({ session, reason: "unknown" }));
    expect(await beats(...sessions)).toEqual({ status: 200, body: { renewed: 0, ended } });
  });
});

it("while the log's server is down a node renews what it knows, and judges nothing else", async () => {
  const session = await login();
  await until("the other knows it", () => at(1).presence.heartbeat(session) === undefined);
  server.stop();
  const refused = { status: 503, body: { type: "/problems/not-ready" } };
  expect(await beat(session)).toEqual({ status: 204, body: undefined });
  expect(await beats(session, "invented")).toEqual({
    status: 200,
    body: { renewed: 1, ended: [], undecided: ["invented"] },
  });
  expect(await Promise.all([beat("invented"), change("invented"), close("invented")])).toMatchObject([
    refused,
    refused,
    refused,
  ]);
});
