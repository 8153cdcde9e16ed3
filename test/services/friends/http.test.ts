/** Friend requests at one node: asking, asking again, what each state allows, and the pages of an inbox. */
import { beforeEach, describe, expect, it, test } from "vitest";
import type { Stance } from "../../../replicator/core/commands.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { formatOffset, parseOffset, requestId } from "../../../services/friends/names.ts";
import { listPath, names } from "./calls.ts";
import type { Answer } from "./calls.ts";
import { begin, bench, send, said, asked, ask, act, list, stateOf, stancesInLog } from "./one-node.ts";

beforeEach(begin);

const part = (user: string, other: string): Promise<Answer> =>
  send("DELETE", `/v1/users/${user}/friends/${other}?ack=local`);
const friendsOf = async (user: string): Promise<string[]> =>
  (await send("GET", `/v1/users/${user}/friends`)).body.friends.map((friend) => friend.user);

describe("asking", () => {
  it("twice, also with another message, is the same request", async () => {
    const first = await ask("ann", "bob", "hi");
    const again = await ask("ann", "bob", "are you there?");
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.body).toMatchObject({ id: first.body.id, state: "requested" });
    expect(again.headers.get("rollcall-token")).toBe(again.body.token);
    expect(stancesInLog()).toBe(1);
    expect((await list("bob")).body.requests).toMatchObject([{ id: first.body.id, message: "hi" }]);
  });

  it("twice at once is the same request", async () => {
    const both = await Promise.all([ask("ann", "bob"), ask("ann", "bob")]);
    expect(both[0].body.id).toBe(both[1].body.id);
    expect((await list("bob")).body).toMatchObject({ unread: 1 });
  });

  it("who has asked makes friends", async () => {
    await ask("ann", "bob");
    const crossed = await ask("bob", "ann");
    expect(crossed.body.state).toBe("friends");
    expect((await ask("bob", "ann")).body).toMatchObject({ id: crossed.body.id, state: "friends" });
    expect(stancesInLog()).toBe(2);
    expect((await send("GET", "/v1/users/ann/friends")).body.friends.map(({ user }) => user)).toEqual([
      "bob",
    ]);
  });

  it("anew after a refusal is another request, unread again", async () => {
    const { id } = (await ask("ann", "bob")).body;
    await act(id, "decline");
    const next = await ask("ann", "bob");
    expect(next.body).toMatchObject({ state: "requested" });
    expect(next.body.id).not.toBe(id);
    expect((await list("bob")).body).toMatchObject({ unread: 1, requests: [{ id: next.body.id }] });
    const late = await act(id, "accept");
    expect(late).toMatchObject({ status: 409, body: { state: "requested" } });
  });
});

describe("what a state allows", () => {
  const ROWS: readonly (readonly [verb: string, then: string, status: number, state: string])[] = [
    ["accept", "accept", 200, "friends"],
    ["accept", "decline", 409, "friends"],
    ["accept", "cancel", 409, "friends"],
    ["decline", "accept", 409, "declined"],
    ["decline", "decline", 200, "declined"],
    ["decline", "cancel", 409, "declined"],
    ["cancel", "accept", 409, "cancelled"],
    ["cancel", "decline", 409, "cancelled"],
    ["cancel", "cancel", 200, "cancelled"],
  ];
  test.each(ROWS)("after %s, %s answers %i %s", async (first, then, status, state) => {
    const { id } = (await ask("ann", "bob")).body;
    expect((await act(id, first)).status).toBe(200);
    const written = stancesInLog();
    const answer = await act(id, then);
    const type = status === 409 ? { type: "/problems/friend-request-state" } : {};
    expect(answer).toMatchObject({ status, body: { state, ...type } });
    expect([stateOf("ann", "bob"), stancesInLog()]).toEqual([state, written]);
  });

  test.each([
    ["accept", "ann"],
    ["decline", "eve"],
    ["cancel", "bob"],
  ])("%s is not for %s", async (verb, user) => {
    const { id } = (await ask("ann", "bob")).body;
    const answer = await act(id, verb, user);
    expect([answer.status, answer.body.type]).toEqual([403, "/problems/wrong-user"]);
    expect(stateOf("ann", "bob")).toBe("requested");
  });

  test.each([
    ["accept", "bob"],
    ["decline", "bob"],
    ["cancel", "ann"],
  ])("%s is for %s", async (verb, user) => {
    const { id } = (await ask("ann", "bob")).body;
    expect((await act(id, verb, user)).status).toBe(200);
  });

  it("a crossed question that outlived the other's cancellation is accepted, asked back or cancelled", async () => {
    const cancelled: Stance = { ...asked("ann", "bob"), word: "cancelled" };
    for (const [other, answer] of [
      ["bob", (id: string) => act(id, "accept")],
      ["eve", () => ask("ann", "eve")],
    ] as const) {
      said(asked(other, "ann"), { ...cancelled, other });
      const [request] = (await list("ann")).body.requests;
      expect(request).toMatchObject({ from: other });
      expect((await act(requestId({ from: "ann", to: other, round: 1 }), "cancel")).body.state).toBe(
        "cancelled",
      );
      expect((await answer(request?.id ?? "")).body.state).toBe("friends");
    }
    said(asked("dan", "ann"), { ...cancelled, other: "dan" });
    const id = requestId({ from: "dan", to: "ann", round: 1 });
    expect((await act(id, "cancel")).body.state).toBe("cancelled");
    expect((await list("ann")).body.requests).toEqual([]);
  });
});

describe("a friendship", () => {
  it("is not with oneself: ending it is refused as asking is", async () => {
    for (const answer of [await part("ann", "ann"), await ask("ann", "ann")])
      expect(answer).toMatchObject({ status: 400, body: { type: "/problems/invalid-request" } });
    expect(stancesInLog()).toBe(0);
  });

  test.each([
    ["who asked", "ann", "bob", "accepted"],
    ["who accepted", "bob", "ann", "accepted"],
    ["one of two who asked each other", "ann", "bob", "crossed"],
  ])("is ended by %s, and may begin anew", async (_who, user, other, how) => {
    const { id } = (await ask("ann", "bob")).body;
    await (how === "crossed" ? ask("bob", "ann") : act(id, "accept"));
    const parted = await part(user, other);
    expect(parted).toMatchObject({ status: 200, body: { state: "declined" } });
    expect(parted.headers.get("rollcall-token")).toBe(parted.body.token);
    expect([await friendsOf("ann"), await friendsOf("bob")]).toEqual([[], []]);
    expect(await act(id, "accept")).toMatchObject({ status: 409, body: { state: "declined" } });
    const next = (await ask("bob", "ann")).body;
    expect(next.state).toBe("requested");
    expect((await act(next.id, "accept")).body.state).toBe("friends");
    expect(await friendsOf("ann")).toEqual(["bob"]);
  });

  test.each(["none", "requested", "declined"])("that is none (%s) is not ended", async (state) => {
    const id = state === "none" ? "" : (await ask("ann", "bob")).body.id;
    if (state === "declined") await act(id, "decline");
    const written = stancesInLog();
    expect(await part("bob", "ann")).toMatchObject({ status: 200, body: { state } });
    expect(stancesInLog()).toBe(written);
  });
});

describe("an inbox", () => {
  beforeEach(() => said(...["dan", "ann", "eve", "cleo"].map((from) => asked(from, "bob"))));

  it("comes in pages, each marked as read by its own offset", async () => {
    const first = await list("bob", "?limit=2");
    expect(names(first.body.requests)).toEqual(["ann>bob", "cleo>bob"]);
    const second = await list("bob", `?limit=2&cursor=${first.body.cursor}`);
    expect(names(second.body.requests)).toEqual(["dan>bob", "eve>bob"]);
    expect(second.body).not.toHaveProperty("cursor");
    const { offset } = second.body;
    expect((await send("PUT", listPath("bob", "/read"), { offset })).body.unread).toBe(2);
    expect((await list("bob")).body.requests).toMatchObject([
      { from: "ann", unread: true },
      { from: "cleo", unread: true },
      { from: "dan", unread: false },
      { from: "eve", unread: false },
    ]);
  });

  it("leaves unread what came after the look, and marking again writes nothing", async () => {
    const { offset } = (await list("bob")).body;
    said(asked("abe", "bob"));
    const mark = (): Promise<Answer> => send("PUT", listPath("bob", "/read"), { offset });
    expect((await mark()).body.unread).toBe(1);
    const written = bench.log.length;
    expect((await mark()).body.unread).toBe(1);
    expect(bench.log).toHaveLength(written);
    expect((await list("bob")).body).toMatchObject({ unread: 1, readOffset: offset });
  });

  it("takes no cursor and no offset that it has not given", async () => {
    for (const cursor of ["x", "MSBhbm4gYm9i", "Mi5hbm4"])
      expect((await list("bob", `?cursor=${cursor}`)).body.type).toBe("/problems/invalid-cursor");
    for (const offset of [
      "x",
      "2.",
      "1.a",
      "1.AAAA",
      "1.AAAAAAA=",
      "1.AAAAAAB.",
      `1.${"A".repeat(507)}`,
      "1.é",
    ]) {
      const answer = await send("PUT", listPath("bob", "/read"), { offset });
      expect([offset, answer.status]).toEqual([offset, 400]);
    }
    expect((await list("bob")).body).toMatchObject({ unread: 4, readOffset: "" });
  });

  it("fits its largest page into an offset", () => {
    const users = Array.from({ length: LIMITS.friendsPageMax }, (_, index) => ({
      from: `${index}`.padStart(64, "u"),
      to: "bob",
      round: index + 1,
    }));
    const offset = formatOffset(users);
    expect(offset.length).toBeLessThanOrEqual(LIMITS.readOffsetBytesMax);
    const shows = parseOffset(offset);
    expect(users.every((one) => shows?.(one))).toBe(true);
    expect(users.some((one) => shows?.({ ...one, round: one.round + 1 }))).toBe(false);
  });
});
