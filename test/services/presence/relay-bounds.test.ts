/** The relay's three parts over in-memory NATS of two regions, message by message: bounds, repetition, and what does not fit. */
import { setImmediate as turn } from "node:timers/promises";
import { beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../../../replicator/core/limits.ts";
import type { Token } from "../../../replicator/core/token.ts";
import { MemoryLogStore, MemoryServer } from "../../../replicator/log/memory.ts";
import { CARRYING_MAX, openReadDesk } from "../../../replicator/read-desk.ts";
import type { ReadDesk } from "../../../replicator/read-desk.ts";
import {
  RELAYED_BYTES_MAX,
  decodeRelayHead,
  encodeRelayed,
  readAnsweredTopic,
  readAskedTopic,
} from "../../../replicator/runtime/relay.ts";
import { ANSWERING_MAX, RelayDesk, TAKEN_MAX } from "../../../services/presence/relay-desk.ts";
import type { Answers } from "../../../services/presence/relay-desk.ts";
import {
  RELAYED_USERS_MAX,
  decodeReadAnswer,
  decodeReadAsk,
  encodeReadAnswer,
  encodeReadAsk,
} from "../../../services/presence/relay-messages.ts";
import type { ReadAnswer, ReadAsk } from "../../../services/presence/relay-messages.ts";
import { ASKING_MAX, Relay } from "../../../services/presence/relay.ts";
import type { Asked, Served } from "../../../services/presence/relay.ts";
import type { Consistency, Outcome } from "../../../services/presence/service.ts";
import { OFFLINE, ONLINE } from "./http/fake.ts";

const TOKEN: Token = new Map([["cn", { logId: "a", position: 12 }]]);
const ASKED: Asked = { users: ["ann"], mode: "token", token: TOKEN, maxStalenessMs: 0, waitMs: 1_000 };
const ASK: ReadAsk = { ...ASKED, ask: "x1", from: "us" };
const ANSWER: ReadAnswer = {
  ask: "x1",
  region: "cn",
  token: TOKEN,
  waitedMs: 3,
  ageMs: 100,
  presences: [ONLINE],
};
const MET: Outcome<Consistency> = {
  ok: true,
  value: { mode: "token", satisfied: true, waitedMs: 0, servedBy: "cn", applied: {} },
};

let servers = { cn: new MemoryServer(), us: new MemoryServer() };
let heard: { readonly asks: Uint8Array[]; readonly answers: Uint8Array[] } = { asks: [], answers: [] };
let ms = 0;

const store = (region: "cn" | "us"): MemoryLogStore => new MemoryLogStore(servers[region]);
const clock = (): { monoMs: number; wallMs: number } => ({ monoMs: ms, wallMs: ms });

beforeEach(() => {
  servers = { cn: new MemoryServer(), us: new MemoryServer() };
  heard = { asks: [], answers: [] };
  ms = 0;
  store("cn").listen(readAskedTopic("cn"), (payload) => heard.asks.push(payload));
  store("us").listen(readAnsweredTopic("us"), (payload) => heard.answers.push(payload));
});

/** Announcements are delivered. */
async function settle(): Promise<void> {
  for (let n = 0; n < 6; n++) await turn();
}

function relay(): Relay {
  let minted = 0;
  return new Relay({
    region: "us",
    peers: ["cn"],
    store: store("us"),
    clock,
    mint: () => `x${(minted += 1)}`,
  });
}

function relayDesk(answers: Partial<Answers> = {}): RelayDesk {
  return new RelayDesk({
    region: "cn",
    peers: ["us"],
    store: store("cn"),
    clock,
    answers: {
      ready: () => true,
      meet: () => Promise.resolve(MET),
      followsHeirs: () => true,
      presence: (user) => ({ ...OFFLINE, user }),
      applied: () => TOKEN,
      oldestMs: () => 50,
      ...answers,
    },
  });
}

function readDesk(): ReadDesk {
  return openReadDesk({ region: "us", local: store("us"), peers: new Map([["cn", store("cn")]]) });
}

function payloadOf(encoded: Uint8Array | undefined): Uint8Array {
  if (encoded === undefined) throw new Error("too large");
  return encoded;
}

/** What comes of the ask where that answers it. */
async function served(asked: Asked, answer: Partial<ReadAnswer>, afterMs = 0): Promise<Served | undefined> {
  const asking = relay().ask(asked, ["cn"]);
  ms += afterMs;
  const payload = payloadOf(encodeReadAnswer({ ...ANSWER, ...answer }));
  store("us").announce(readAnsweredTopic("us"), payload);
  await settle();
  return asking;
}

const askCn = (one: Partial<ReadAsk> = {}): void =>
  store("cn").announce(readAskedTopic("cn"), payloadOf(encodeReadAsk({ ...ASK, ...one })));

describe("a replicator", () => {
  it("carries an ask once, and the first answer alone", async () => {
    const [desk, ask] = [readDesk(), payloadOf(encodeReadAsk(ASK))];
    for (let n = 0; n < 2; n++) store("us").announce(readAskedTopic("cn"), ask);
    await settle();
    const answer = payloadOf(encodeReadAnswer(ANSWER));
    for (let n = 0; n < 2; n++) store("cn").announce(readAnsweredTopic("us"), answer);
    await settle();
    expect(heard).toEqual({ asks: [ask], answers: [answer] });
    expect(desk.carried).toEqual({ asks: 1, answers: 1, full: 0, malformed: 0, unasked: 1 });
    desk.close();
  });

  it("carries only so many at once", async () => {
    const desk = readDesk();
    for (let n = 0; n <= CARRYING_MAX; n++)
      store("us").announce(readAskedTopic("cn"), payloadOf(encodeReadAsk({ ...ASK, ask: `x${n}` })));
    await settle();
    expect(heard.asks).toHaveLength(CARRYING_MAX);
    expect(desk.carried).toMatchObject({ asks: CARRYING_MAX, full: 1 });
    desk.close();
  });

  it("carries nothing that has no head or is too large, in either direction", async () => {
    const desk = readDesk();
    const long = `x1 ${LIMITS.waitMsMax + 1}\n{}`;
    for (const text of [
      "",
      "{}",
      "x1\n{}",
      "x 1 1\n",
      "é 1\n",
      long,
      `x1 1\n${"x".repeat(RELAYED_BYTES_MAX)}`,
    ]) {
      store("us").announce(readAskedTopic("cn"), Buffer.from(text));
      store("cn").announce(readAnsweredTopic("us"), Buffer.from(text));
    }
    await settle();
    expect(heard).toEqual({ asks: [], answers: [] });
    expect(desk.carried).toMatchObject({ asks: 0, answers: 0, malformed: 14 });
    desk.close();
  });

  it("forgets an ask when its time is over, and carries nothing once closed", async () => {
    const desk = readDesk();
    store("us").announce(readAskedTopic("cn"), payloadOf(encodeReadAsk({ ...ASK, waitMs: 1 })));
    await settle();
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
    store("cn").announce(readAnsweredTopic("us"), payloadOf(encodeReadAnswer(ANSWER)));
    await settle();
    expect(desk.carried).toMatchObject({ answers: 0, unasked: 1 });
    desk.close();
    store("us").announce(readAskedTopic("cn"), payloadOf(encodeReadAsk({ ...ASK, ask: "x2" })));
    await settle();
    expect(heard.asks).toHaveLength(1);
  });
});

describe("a node that asks", () => {
  it("is served by an answer that has all that was asked for, and knows how long it was on its way", async () => {
    expect(await served(ASKED, {}, 23)).toEqual({ answer: ANSWER, transitMs: 20 });
  });

  it.each<[string, Partial<ReadAnswer>]>([
    ["does not have the position", { token: new Map([["cn", { logId: "a", position: 11 }]]) }],
    ["is of another log", { token: new Map([["cn", { logId: "z", position: 99 }]]) }],
    ["is of a region that was not asked", { region: "eu" }],
    ["is about somebody else", { presences: [OFFLINE] }],
    ["is about more", { presences: [ONLINE, ONLINE] }],
  ])("is not served by one that %s", async (_what, answer) => {
    expect(await served({ ...ASKED, waitMs: 30 }, answer)).toBeUndefined();
  });

  it("is not served by one that was fresh enough there, and is not any more", async () => {
    const bounded: Asked = { ...ASKED, mode: "bounded", maxStalenessMs: 150, waitMs: 30 };
    expect(await served(bounded, { ageMs: 100, waitedMs: 0 }, 40)).toBeDefined();
    expect(await served(bounded, { ageMs: 100, waitedMs: 0 }, 60)).toBeUndefined();
  });

  it("asks only so many at once, of so many users, and only peers", async () => {
    const asking = relay();
    const users = Array.from({ length: RELAYED_USERS_MAX + 1 }, (_, n) => `user${n}`);
    expect(await asking.ask({ ...ASKED, users }, ["cn"])).toBeUndefined();
    expect(await asking.ask(ASKED, ["mars"])).toBeUndefined();
    const all = Array.from({ length: ASKING_MAX + 1 }, () => asking.ask({ ...ASKED, waitMs: 20 }, ["cn"]));
    expect(await Promise.all(all)).toHaveLength(ASKING_MAX + 1);
    expect(asking.stats).toEqual({ asked: ASKING_MAX, served: 0, full: 2, strange: 0 });
  });
});

describe("a node that is asked", () => {
  it("answers once, with what a read there would be told", async () => {
    const answers: Uint8Array[] = [];
    store("cn").listen(readAnsweredTopic("us"), (payload) => answers.push(payload));
    const desk = relayDesk();
    askCn();
    askCn();
    await settle();
    expect(answers.map((payload) => decodeReadAnswer(payload))).toMatchObject([
      { ask: "x1", region: "cn", token: TOKEN, ageMs: 50, presences: [{ user: "ann" }] },
    ]);
    expect(desk.stats).toEqual({ answered: 1, declined: 0, malformed: 0 });
  });

  it("says nothing where it has not what is asked for, nor while it is not ready", async () => {
    const lacking = relayDesk({
      meet: () => Promise.resolve({ ...MET, value: { ...MET.value, satisfied: false } }),
    });
    const starting = relayDesk({ ready: () => false });
    askCn();
    await settle();
    expect(lacking.stats).toEqual({ answered: 0, declined: 0, malformed: 0 });
    expect(starting.stats).toEqual({ answered: 0, declined: 1, malformed: 0 });
  });

  it("says nothing while it follows a log that an heir's counts in place of, though it has all of that", async () => {
    const answers: Uint8Array[] = [];
    store("cn").listen(readAnsweredTopic("us"), (payload) => answers.push(payload));
    let follows = false;
    relayDesk({ followsHeirs: () => follows });
    askCn();
    await settle();
    follows = true;
    askCn({ ask: "x2" });
    await settle();
    expect(answers.map((payload) => decodeReadAnswer(payload)?.ask)).toEqual(["x2"]);
  });

  it("meets the mode besides the token", async () => {
    const modes: string[] = [];
    relayDesk({
      meet: (options) => {
        modes.push(options.mode);
        return Promise.resolve(MET);
      },
    });
    askCn({ mode: "latest" });
    askCn({ ask: "x2", mode: "bounded" });
    await settle();
    expect(modes.toSorted()).toEqual(["bounded", "latest", "token", "token"]);
  });

  it("lets only so many wait, and gives no answer that is too large", async () => {
    const waiting = relayDesk({ meet: () => new Promise(() => undefined) });
    for (let n = 0; n <= ANSWERING_MAX; n++) askCn({ ask: `y${n}` });
    await settle();
    expect(waiting.stats).toMatchObject({ declined: 1 });
    waiting.stop();
    const many = Array.from({ length: 2_000 }, () => ONLINE.sessions[0]).flatMap((one) => one ?? []);
    const large = relayDesk({ presence: () => ({ ...ONLINE, sessions: many }) });
    askCn({ ask: "z" });
    await settle();
    expect(large.stats).toEqual({ answered: 0, declined: 1, malformed: 0 });
  });

  it("takes only so many in a second", async () => {
    const desk = relayDesk();
    for (let n = 0; n <= TAKEN_MAX; n++) {
      askCn({ ask: `t${n}` });
      if (n % 100 === 0) await settle();
    }
    await settle();
    expect(desk.stats).toMatchObject({ answered: TAKEN_MAX, declined: 1 });
    ms += 1_000;
    askCn({ ask: "later" });
    await settle();
    expect(desk.stats).toMatchObject({ answered: TAKEN_MAX + 1, declined: 1 });
  });

  it("takes nothing from a region that there is not", async () => {
    const desk = relayDesk();
    askCn({ from: "mars" });
    await settle();
    expect(desk.stats).toEqual({ answered: 0, declined: 0, malformed: 1 });
  });
});

describe("what is said", () => {
  it("is read as it was said", () => {
    expect(decodeReadAsk(payloadOf(encodeReadAsk(ASK)))).toEqual(ASK);
    expect(decodeReadAnswer(payloadOf(encodeReadAnswer(ANSWER)))).toEqual(ANSWER);
    expect(decodeRelayHead(payloadOf(encodeReadAsk(ASK)))).toEqual({ ask: "x1", waitMs: 1_000 });
  });

  const head = { ask: "x1", waitMs: 5 };
  const said = { from: "us", users: ["ann"], mode: "token", token: "1.", maxStalenessMs: 0 };
  it.each<[string, unknown]>([
    ["null", null],
    ["a list", []],
    ["no users", { ...said, users: [] }],
    ["too many users", { ...said, users: Array.from({ length: RELAYED_USERS_MAX + 1 }, () => "ann") }],
    ["a name that is none", { ...said, users: ["a b"] }],
    ["another mode", { ...said, mode: "any" }],
    ["no token", { ...said, token: "2.x" }],
    ["a token that is too long", { ...said, token: "1".repeat(2_000) }],
    ["a region that can be none", { ...said, from: "CN" }],
    ["a bound that is none", { ...said, maxStalenessMs: -1 }],
  ])("is no ask where it is %s", (_what, one) => {
    expect(decodeReadAsk(payloadOf(encodeRelayed(head, one)))).toBeUndefined();
  });

  const told = { region: "cn", token: "1.", waitedMs: 0, presences: [ONLINE] };
  const [session] = ONLINE.sessions;
  it.each<[string, unknown]>([
    ["a string", "x"],
    ["a token that cannot be read", { ...told, token: "" }],
    ["a presence without a status", { ...told, presences: [{ ...ONLINE, status: undefined }] }],
    ["a status that there is not", { ...told, presences: [{ ...ONLINE, status: "gone" }] }],
    ["a time that can be none", { ...told, presences: [{ ...ONLINE, lastSeenMs: 1e17 }] }],
    [
      "a session of no time",
      { ...told, presences: [{ ...ONLINE, sessions: [{ ...session, sinceMs: 1e17 }] }] },
    ],
    ["an age below nothing", { ...told, ageMs: -1 }],
  ])("is no answer where it has %s", (_what, one) => {
    expect(decodeReadAnswer(payloadOf(encodeRelayed({ ...head, waitMs: 0 }, one)))).toBeUndefined();
  });
});
