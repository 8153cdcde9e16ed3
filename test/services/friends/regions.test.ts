/** Friend requests over whole regions and HTTP: seen elsewhere, answered elsewhere, through cuts and by way of another region. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openReadDesk } from "../../../replicator/read-desk.ts";
import { MemoryLogStore } from "../../../replicator/log/memory.ts";
import { requestId } from "../../../services/friends/names.ts";
import { Regions, until } from "../presence/regions.ts";
import { listPath, names, sendTo } from "./calls.ts";
import type { Answer } from "./calls.ts";

let regions = new Regions([]);

beforeEach(async () => {
  regions = new Regions(["cn", "us"]);
  await regions.start("cn", "us");
  await regions.open("cn", "ann");
  await regions.open("us", "bob");
  await until("both know both", () => regions.online("cn") === 2 && regions.online("us") === 2);
});
afterEach(() => regions.stop());

const send = (region: string, ...args: Parameters<ReturnType<typeof sendTo>>): Promise<Answer> =>
  sendTo(regions.node(region).url)(...args);

const ask = (region: string, from: string, to: string, more: object = {}): Promise<Answer> =>
  send(region, "POST", "/v1/friend-requests", { from, to, ...more });

const act = (region: string, id: string, verb: string, body?: object, token?: string): Promise<Answer> =>
  send(region, "POST", `/v1/friend-requests/${id}/${verb}`, body, token);

const list = (region: string, user: string, query = ""): Promise<Answer> =>
  send(region, "GET", listPath(user, query));

const statesOf = (a: string, b: string): string[] =>
  ["cn", "us"].map((region) => regions.node(region).presence.node.replica.friends.pairOf(a, b).state);

describe("a request", { timeout: 60_000 }, () => {
  it("asked in cn is read in us with its token, read, accepted there, and both are friends in both regions", async () => {
    const asked = await ask("cn", "ann", "bob", { message: "hello, bob", ack: "local" });
    expect(asked).toMatchObject({ status: 201, body: { state: "requested" } });
    const { id, token } = asked.body;
    const seen = await list("us", "bob", `?token=${token}&waitMs=5000`);
    expect(seen.body).toMatchObject({
      requests: [{ id, from: "ann", to: "bob", state: "requested", message: "hello, bob", unread: true }],
      unread: 1,
      readOffset: "",
      consistency: { mode: "token", satisfied: true },
    });
    const { offset } = seen.body;
    const read = await send("us", "PUT", listPath("bob", "/read"), { offset });
    expect(read).toMatchObject({ status: 200, body: { unread: 0 } });
    const elsewhere = await list("cn", "bob", `?token=${read.body.token}&waitMs=5000`);
    expect(elsewhere.body).toMatchObject({
      unread: 0,
      offset,
      readOffset: offset,
      requests: [{ unread: false }],
    });
    const accepted = await act("us", id, "accept", { user: "bob" });
    expect(accepted).toMatchObject({ status: 200, body: { state: "friends" } });
    expect(accepted.headers.get("rollcall-token")).toBe(accepted.body.token);
    const friends = await send("cn", "GET", `/v1/users/ann/friends?token=${accepted.body.token}&waitMs=5000`);
    expect(friends.body).toMatchObject({
      friends: [{ user: "bob", presence: { status: "online", home: "us" } }],
      consistency: { satisfied: true },
    });
    expect((await list("cn", "ann", "?direction=out")).body.requests).toEqual([]);
  });

  it("is found by consistency=latest without a token, and told of in the sender's list", async () => {
    await ask("cn", "ann", "bob", { ack: "local" });
    const latest = await list("us", "bob", "?consistency=latest");
    expect(latest.body).toMatchObject({ requests: [{ from: "ann" }], consistency: { satisfied: true } });
    const out = await list("cn", "ann", "?direction=out");
    expect(out.body).toMatchObject({ requests: [{ from: "ann", to: "bob", state: "requested" }], unread: 0 });
    expect(out.body).not.toHaveProperty("offset");
    expect(out.body.requests[0]).not.toHaveProperty("unread");
  });

  it("of two who asked each other while the link was cut makes them friends, each with the id they were told", async () => {
    await regions.stopReplicator("cn");
    await regions.stopReplicator("us");
    const [first, second] = [
      await ask("cn", "ann", "bob", { ack: "local" }),
      await ask("us", "bob", "ann", { ack: "local" }),
    ];
    expect([first.body.state, second.body.state]).toEqual(["requested", "requested"]);
    regions.startReplicator("cn");
    regions.startReplicator("us");
    await until("they are friends", () => statesOf("ann", "bob").join() === "friends,friends");
    expect((await ask("cn", "ann", "bob")).body).toMatchObject({ id: first.body.id, state: "friends" });
    expect((await ask("us", "bob", "ann")).body).toMatchObject({ id: second.body.id, state: "friends" });
    expect((await act("us", first.body.id, "accept")).body.state).toBe("friends");
  });

  it("cancelled in one region and accepted in the other is cancelled in both", async () => {
    const { id, token } = (await ask("cn", "ann", "bob")).body;
    await list("us", "bob", `?token=${token}&waitMs=5000`);
    await regions.stopReplicator("cn");
    await regions.stopReplicator("us");
    expect((await act("us", id, "accept", { ack: "local" })).body.state).toBe("friends");
    expect((await act("cn", id, "cancel", { ack: "local" })).body.state).toBe("cancelled");
    regions.startReplicator("cn");
    regions.startReplicator("us");
    await until("it is cancelled", () => statesOf("ann", "bob").join() === "cancelled,cancelled");
    expect(await act("us", id, "accept")).toMatchObject({ status: 409, body: { state: "cancelled" } });
  });
});

describe("while us copies nothing", { timeout: 60_000 }, () => {
  beforeEach(async () => {
    await regions.stopReplicator("us");
  });

  it("a naive read misses the request, a token read says what is missing, latest says who could not be asked", async () => {
    const { id, token } = (await ask("cn", "ann", "bob", { ack: "local" })).body;
    expect((await list("us", "bob")).body).toMatchObject({ requests: [], consistency: { mode: "any" } });
    const byToken = await list("us", "bob", `?token=${token}&waitMs=200`);
    expect(byToken.body.consistency).toMatchObject({ satisfied: false, missing: { cn: expect.any(Number) } });
    const latest = await list("us", "bob", "?consistency=latest&waitMs=300");
    expect(latest.body.consistency).toMatchObject({
      satisfied: false,
      unheard: expect.arrayContaining(["cn"]),
    });
    const early = await act("us", id, "accept", { ack: "local" });
    expect(early).toMatchObject({ status: 404, body: { type: "/problems/unknown-friend-request" } });
    expect(early.headers.get("retry-after")).not.toBeNull();
    const accepting = act("us", id, "accept", { ack: "local" }, token);
    regions.startReplicator("us");
    let accepted = await accepting;
    while (accepted.body.type === "/problems/token-not-met")
      accepted = await act("us", id, "accept", { ack: "local" }, token);
    expect(accepted.body.state).toBe("friends");
  });

  it("whatever is decided by what is there waits for its token, and is refused where that does not come", async () => {
    const { token: own } = (await ask("us", "zoe", "bob", { ack: "local" })).body;
    const { offset } = (await list("us", "bob", `?token=${own}&waitMs=5000`)).body;
    const id = requestId({ from: "zoe", to: "bob", round: 1 });
    const { token } = (await ask("cn", "ann", "bob", { ack: "local" })).body;
    const ack = "local";
    const answers = await Promise.all([
      send("us", "POST", "/v1/friend-requests", { from: "bob", to: "zoe", ack }, token),
      ...["accept", "decline", "cancel"].map((verb) => act("us", id, verb, { ack }, token)),
      send("us", "DELETE", "/v1/users/bob/friends/zoe?ack=local", undefined, token),
      send("us", "PUT", listPath("bob", "/read"), { offset, ack }, token),
    ]);
    for (const answer of answers) {
      expect(answer).toMatchObject({
        status: 503,
        body: { type: "/problems/token-not-met", missing: { cn: expect.any(Number) } },
      });
      expect(answer.headers.get("retry-after")).not.toBeNull();
    }
    expect(statesOf("zoe", "bob")[1]).toBe("requested");
    expect((await list("us", "bob")).body).toMatchObject({ requests: [{ id }], unread: 1, readOffset: "" });
  });

  it("no peer has the write: it is said not to be copied, with what was written all the same", async () => {
    const asked = await ask("cn", "ann", "bob");
    expect(asked).toMatchObject({
      status: 503,
      body: {
        type: "/problems/not-copied",
        state: "requested",
        id: expect.any(String),
        token: expect.any(String),
      },
    });
    regions.startReplicator("us");
    const again = await ask("cn", "ann", "bob");
    expect(again).toMatchObject({ status: 201, body: { id: asked.body.id, state: "requested" } });
  });
});

it(
  "a replica that lags lets the home answer, and what is read there can be marked when it is here",
  { timeout: 60_000 },
  async () => {
    await regions.onlyAsks("us");
    const { token } = (await ask("cn", "ann", "bob", { message: "é\n\u0000", ack: "local" })).body;
    await ask("cn", "zoe", "bob", { ack: "local" });
    const seen = await list("us", "bob", `?token=${token}&waitMs=5000&limit=1`);
    expect(seen.body).toMatchObject({
      requests: [{ from: "ann", message: "é\n\u0000", unread: true }],
      unread: 2,
      cursor: expect.any(String),
      consistency: { satisfied: true, servedBy: "cn" },
    });
    const latest = await list("us", "bob", "?consistency=latest&waitMs=5000");
    expect(names(latest.body.requests)).toEqual(["ann>bob", "zoe>bob"]);
    expect(latest.body.consistency).toMatchObject({ satisfied: true, servedBy: "cn" });
    const metrics = await (await fetch(`${regions.node("us").url}/metrics`)).text();
    expect(metrics).toContain('rollcall_friend_reads_total{met="home"} 2');
  },
);

it("friends that this replica has not heard of are told by the home", { timeout: 60_000 }, async () => {
  await regions.open("cn", "zoe");
  for (const other of ["zoe", "yan"]) {
    await ask("cn", "ann", other, { ack: "local" });
    await ask("cn", other, "ann", { ack: "local" });
  }
  await regions.onlyAsks("us");
  const { token } = (await ask("cn", "ann", "xin", { ack: "local" })).body;
  await ask("cn", "xin", "ann", { ack: "local" });
  const page = await send("us", "GET", `/v1/users/ann/friends?consistency=latest&waitMs=5000&limit=2`);
  expect(page.body).toMatchObject({
    friends: [
      { user: "xin", presence: { status: "offline" } },
      { user: "yan", presence: { status: "offline" } },
    ],
    cursor: expect.any(String),
    consistency: { satisfied: true, servedBy: "home:cn" },
  });
  const rest = await send(
    "us",
    "GET",
    `/v1/users/ann/friends?token=${token}&waitMs=5000&cursor=${page.body.cursor}`,
  );
  expect(rest.body).toMatchObject({ friends: [{ user: "zoe", presence: { status: "online", home: "cn" } }] });
  expect(rest.body).not.toHaveProperty("cursor");
  const early = await send("us", "GET", "/v1/users/ann/friends?maxStalenessMs=1&waitMs=50");
  expect(early.body.consistency).toMatchObject({ satisfied: false, servedBy: "us" });
});

it(
  "a third region answers for the token where the link between the two is cut",
  { timeout: 60_000 },
  async () => {
    await regions.stop();
    regions = new Regions(["cn", "eu", "us"]);
    await regions.start("cn", "eu", "us");
    await regions.stopReplicator("us");
    const store = (region: string): MemoryLogStore => new MemoryLogStore(regions.server(region));
    const desk = openReadDesk({ region: "us", local: store("us"), peers: new Map([["eu", store("eu")]]) });
    const { token } = (await ask("cn", "ann", "bob", { ack: "local" })).body;
    const seen = await list("us", "bob", `?token=${token}&waitMs=5000`);
    desk.close();
    expect(names(seen.body.requests)).toEqual(["ann>bob"]);
    expect(seen.body.consistency).toMatchObject({ satisfied: true, servedBy: "eu" });
  },
);
