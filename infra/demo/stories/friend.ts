/**
 * A friend request between two regions with a slow line between them, and then none: what each way of reading shows, and what it claims.
 */
import { Type } from "typebox";
import { linkBetween } from "../topology.ts";
import { LINK, consistency } from "./shapes.ts";
import type { Story } from "./story.ts";
import type { Call } from "./telling.ts";

const SLOW_RTT_MS = 1_000;
const USUAL_RTT_MS = linkBetween("cn", "us").rttMs;

const ASKED = {
  status: 201,
  shape: Type.Object({ id: Type.String(), state: Type.String(), token: Type.String() }),
};
const LIST = {
  status: 200,
  shape: Type.Object({
    requests: Type.Array(Type.Object({ from: Type.String(), message: Type.String() })),
    consistency,
  }),
};

export async function friend(story: Story): Promise<string[]> {
  story.begin(
    "alice, in cn, asks bob to be friends and phones him. bob looks in us. Does he see her request? If not, is he told?",
  );
  await before(story);
  const missed = await naive(story);
  const byToken = await token(story);
  const byLatest = await latest(story);
  await elsewhere(story);
  await cutOff(story);
  const healedMs = await healed(story);
  return [
    `A read that asks for nothing is answered at once (${missed} ms) and may be too early; it does not claim otherwise.`,
    `With the token (${byToken} ms), or without one by consistency=latest (${byLatest} ms), bob sees the request.`,
    "With one line cut another region answers; with cn out of reach bob is told that cn's part may be missing.",
    `After healing everything was there within ${healedMs} ms.`,
  ];
}

async function before(story: Story): Promise<void> {
  story.scene(
    "Nobody has asked bob yet",
    "us asks every region how far its log goes, and answers when it has all of that.",
  );
  const { value } = await story.call(readAt("consistency=latest"), LIST);
  story.claim(value.requests.length === 0 && value.consistency.satisfied, "us knows that the list is empty");
}

/** Milliseconds of the read. */
async function naive(story: Story): Promise<number> {
  story.scene("The line between cn and us gets slow", "A round trip takes a second, half of it each way.");
  await story.call(setLink("cn-us", { rttMs: SLOW_RTT_MS }), LINK);
  story.scene(
    "alice asks, in cn",
    "cn answers as soon as its own log has the request (that is ack=local). The token says what another region has to have to show it.",
  );
  await ask(story, "alice", "hello, bob");
  story.scene("bob looks in us at once, and asks for nothing", "us answers with what it has.");
  const { value, tookMs } = await story.call(readAt(""), LIST);
  story.claim(!has(value, "alice"), "bob does not see the request: it is still on its way");
  story.claim(
    value.consistency.mode === "any",
    "the answer does not claim to be complete: its mode is any, so there was nothing to satisfy",
  );
  return Math.round(tookMs);
}

async function token(story: Story): Promise<number> {
  story.scene(
    "The same read with the token",
    "us does not have what the token speaks of. It waits for it, at most 2 s, and asks the other regions meanwhile: whoever has it first answers.",
  );
  const { value, tookMs } = await story.call(readAt("waitMs=2000&token=$TOKEN"), LIST);
  story.claim(value.consistency.satisfied && has(value, "alice"), "bob sees the request");
  if (value.consistency.servedBy !== "us")
    story.say(
      `${value.consistency.servedBy} was first: it has the request by its own line to cn, which is not slow.`,
    );
  return Math.round(tookMs);
}

async function latest(story: Story): Promise<number> {
  story.scene("carol asks too, and bob has no token", "He was only phoned.");
  await ask(story, "carol", "it is me, carol");
  story.say("bob looks with consistency=latest: us first asks every region, cn over the slow line.");
  const { value, tookMs } = await story.call(readAt("consistency=latest&waitMs=5000"), LIST);
  story.claim(value.consistency.satisfied && has(value, "carol"), "bob sees carol's request without a token");
  return Math.round(tookMs);
}

async function elsewhere(story: Story): Promise<void> {
  story.scene("The line between cn and us is cut", "Nothing gets from cn to us; cn and us still reach eu.");
  await story.call(setLink("cn-us", { cut: true }), LINK);
  await ask(story, "dave", "can you hear me?");
  const { value } = await story.call(readAt("waitMs=2000&token=$TOKEN"), LIST);
  story.claim(
    value.consistency.satisfied && value.consistency.servedBy === "eu" && has(value, "dave"),
    "bob sees dave's request: eu has it, and answers in the place of us",
  );
}

async function cutOff(story: Story): Promise<void> {
  story.scene("The line between cn and eu is cut too", "cn is alone. It goes on working.");
  await story.call(setLink("cn-eu", { cut: true }), LINK);
  await ask(story, "erin", "is anybody there?");
  story.say("bob looks in us with the token:");
  const { value: byToken } = await story.call(readAt("waitMs=2000&token=$TOKEN"), LIST);
  const { satisfied, missing } = byToken.consistency;
  story.claim(
    !satisfied && (missing?.["cn"] ?? 0) > 0 && !has(byToken, "erin"),
    `bob is told that something is missing: ${missing?.["cn"]} frames of the log of cn`,
  );
  story.say(
    "us shows what it has itself. dave's request, which eu has shown before, is among what is missing.",
  );
  story.say("bob looks in us with consistency=latest:");
  const { value: byLatest } = await story.call(readAt("consistency=latest&waitMs=2000"), LIST);
  story.claim(
    !byLatest.consistency.satisfied && byLatest.consistency.unheard?.join() === "cn",
    "bob is told that nobody could ask cn: what it has of late may be missing",
  );
}

/** Milliseconds from the second healed line to the answer that has everything. */
async function healed(story: Story): Promise<number> {
  story.scene("Both lines are healed", "Nothing was lost on the way: it was only late.");
  await story.call(setLink("cn-us", { cut: false, rttMs: USUAL_RTT_MS }), LINK);
  const { atMs: healedMs } = await story.call(setLink("cn-eu", { cut: false }), LINK);
  const { value, atMs } = await story.callUntil(readAt("waitMs=5000&token=$TOKEN"), LIST, {
    isDone: (list) => list.consistency.satisfied,
  });
  const senders = ["alice", "carol", "dave", "erin"];
  story.claim(
    senders.every((sender) => has(value, sender)),
    `bob sees all ${senders.length} requests`,
  );
  return Math.round(atMs - healedMs);
}

function readAt(options: string): Call {
  const path = "/v1/users/bob/friend-requests";
  return { method: "GET", at: "us", path: options === "" ? path : `${path}?${options}` };
}

function setLink(link: string, body: { readonly cut?: boolean; readonly rttMs?: number }): Call {
  return { method: "PUT", at: "control", path: `/links/${link}`, body };
}

/** In cn; from then on `$TOKEN` is the newest request's. */
async function ask(story: Story, from: string, message: string): Promise<void> {
  const body = { from, to: "bob", message, ack: "local" };
  const { value } = await story.call({ method: "POST", at: "cn", path: "/v1/friend-requests", body }, ASKED);
  story.name("TOKEN", value.token);
}

function has(list: { readonly requests: readonly { readonly from: string }[] }, sender: string): boolean {
  return list.requests.some(({ from }) => from === sender);
}
