/**
 * One session at a time, everywhere: logins that end each other across regions, and who is told by whom, with the deciding region in touch and
 * cut off.
 */
import { Type, type Static } from "typebox";
import { linkBetween, REGIONS, type DemoRegion } from "../topology.ts";
import { LINK, NOTHING, consistency } from "./shapes.ts";
import type { Story } from "./story.ts";
import type { Call } from "./telling.ts";

/** Timers and clocks are this fine; less time than the line needs by more than that would be a way around it. */
const SLACK_MS = 10;

const OPENED = {
  status: 201,
  shape: Type.Object({
    session: Type.String(),
    region: Type.String(),
    home: Type.String(),
    provisional: Type.Boolean(),
  }),
};
const ENDED = { status: 410, shape: Type.Object({ reason: Type.String(), by: Type.String() }) };
const presenceShape = {
  status: Type.String(),
  sessions: Type.Array(
    Type.Object({
      session: Type.String(),
      region: Type.String(),
      provisional: Type.Optional(Type.Boolean()),
    }),
  ),
};
const PRESENCE = { status: 200, shape: Type.Object(presenceShape) };
const LATEST = { status: 200, shape: Type.Object({ ...presenceShape, consistency }) };
/** Of heidi's two sessions. */
const NAMES = { cn: "DESKTOP", us: "TABLET" } as const;

export async function kick(story: Story): Promise<string[]> {
  story.begin(
    "grace may be logged in once in the whole world: her logins have the policy single. Her home is eu, and the log of eu decides. She logs in in cn, then in us. Which device stays, and when does the other one know?",
  );
  const kickedMs = await secondLogin(story);
  await sameEverywhere(story);
  await sameDevice(story);
  const winner = await bothAtOnce(story);
  return [
    `The phone in cn was told ${kickedMs} ms after the laptop's login in us; the way by eu takes ${wayMs()} ms.`,
    "A device that logs in again takes the place of its own session, and does not kick itself.",
    `While eu is cut off both logins work; when it is back one stays, here the one in ${winner}, and all regions name it.`,
  ];
}

/** Milliseconds from the second login to the refusal of the first one's heartbeat. */
async function secondLogin(story: Story): Promise<number> {
  story.scene(
    "grace logs in in cn, with her phone",
    "provisional: cn lets her in at once, before eu has heard of it.",
  );
  const phone = await story.call(login("cn", "grace", "phone"), OPENED);
  story.name("PHONE", phone.value.session);
  await story.call(heartbeat("cn", "PHONE"), NOTHING);
  story.say(
    "A moment later eu has put the login into its log, and cn has heard of that: it is no longer provisional.",
  );
  await story.callUntil(presence("cn", "grace"), PRESENCE, { isDone: isDecided });
  story.claim(phone.value.home === "eu", "grace is in, and her home is eu");

  story.scene("grace logs in in us, with her laptop", "The same policy: this one is to be the only one.");
  const laptop = await story.call(login("us", "grace", "laptop"), OPENED);
  story.name("LAPTOP", laptop.value.session);

  story.scene(
    "The phone's next heartbeats, in cn",
    `The login goes from us to eu (${oneWayMs("us", "eu")} ms), and what eu decides goes to cn (${oneWayMs("eu", "cn")} ms).`,
  );
  const refused = await story.callUntil(heartbeat("cn", "PHONE"), ENDED);
  const kickedMs = Math.round(refused.atMs - (laptop.atMs - laptop.tookMs));
  const { reason, by } = refused.value;
  story.claim(
    reason === "kicked" && by === laptop.value.session,
    "the phone is told that it was kicked, and by which session: the laptop's",
  );
  story.claim(
    kickedMs >= wayMs() - SLACK_MS,
    `that was ${kickedMs} ms after the laptop's login was sent; the way alone takes ${wayMs()} ms`,
  );
  return kickedMs;
}

async function sameEverywhere(story: Story): Promise<void> {
  story.scene(
    "Who is in, in each region",
    "With consistency=latest each of them first makes sure that it has all that the others have.",
  );
  await onlyOneEverywhere(story, "grace", "LAPTOP");
  await story.call(heartbeat("us", "LAPTOP"), NOTHING);
}

async function sameDevice(story: Story): Promise<void> {
  story.scene(
    "The laptop loses its connection and logs in again",
    "The same device: the new session takes the place of the old one.",
  );
  const again = await story.call(login("us", "grace", "laptop"), OPENED);
  story.name("AGAIN", again.value.session);
  const { value } = await story.callUntil(heartbeat("us", "LAPTOP"), ENDED);
  story.claim(
    value.reason === "replaced" && value.by === again.value.session,
    "the old session was replaced by the new one: it was not kicked",
  );
  await story.call(heartbeat("us", "AGAIN"), NOTHING);
  await onlyOneEverywhere(story, "grace", "AGAIN");
}

/** The region of the login that stayed. */
async function bothAtOnce(story: Story): Promise<DemoRegion> {
  story.scene("eu is cut off", "So nobody can decide for those whose home it is.");
  for (const link of ["cn-eu", "us-eu"]) await story.call(setLink(link, true), LINK);

  story.scene(
    "heidi, whose home is eu too, logs in in cn and in us at the same moment",
    "Both are let in. Nobody has decided, so nobody is thrown out.",
  );
  const [inCn, inUs] = await story.callTogether(
    [login("cn", "heidi", "desktop"), login("us", "heidi", "tablet")],
    OPENED,
  );
  const sessions = { cn: inCn?.value.session ?? "", us: inUs?.value.session ?? "" };
  for (const region of ["cn", "us"] as const) story.name(NAMES[region], sessions[region]);
  await story.callTogether([heartbeat("cn", NAMES.cn), heartbeat("us", NAMES.us)], NOTHING);
  story.claim(
    inCn?.value.provisional === true && inUs?.value.provisional === true,
    "both logins work while the home is cut off, and are called provisional",
  );

  story.scene(
    "eu is back",
    "It takes both logins into its log, one after the other; the one that comes last stays. A read with consistency=latest knows of both.",
  );
  for (const link of ["cn-eu", "us-eu"]) await story.call(setLink(link, false), LINK);
  const decided = await story.callUntil(presence("eu", "heidi", "?consistency=latest"), LATEST, {
    isDone: (seen) => seen.consistency.satisfied && isDecided(seen),
  });
  const winner = decided.value.sessions[0]?.session === sessions.cn ? "cn" : "us";
  const loser = winner === "cn" ? "us" : "cn";
  story.say(`Here that is the login in ${winner}. The heartbeat of the other one, in ${loser}:`);
  const ended = await story.callUntil(heartbeat(loser, NAMES[loser]), ENDED);
  story.claim(
    ended.value.reason === "kicked" && ended.value.by === sessions[winner],
    `the login in ${loser} was kicked by the one in ${winner}`,
  );
  await story.call(heartbeat(winner, NAMES[winner]), NOTHING);
  await onlyOneEverywhere(story, "heidi", NAMES[winner]);
  return winner;
}

/** The session is given by its name. */
async function onlyOneEverywhere(story: Story, user: string, name: string): Promise<void> {
  const calls = REGIONS.map((region) => presence(region, user, "?consistency=latest"));
  const told = await story.callTogether(calls, LATEST);
  const isOnly = told.every(
    ({ value: { sessions, consistency: met } }) =>
      met.satisfied && sessions.length === 1 && sessions[0]?.session === story.valueOf(name),
  );
  story.claim(isOnly, `all regions name one session, $${name}, and claim to be up to date`);
}

/** One session stands, and the home has it in its log. */
function isDecided({ sessions }: Static<typeof PRESENCE.shape>): boolean {
  return sessions.length === 1 && sessions[0]?.provisional !== true;
}

function login(at: "cn" | "us", user: string, device: string): Call {
  const body = { user, device, policy: "single", home: "eu" };
  return { method: "POST", at, path: "/v1/sessions", body };
}

function heartbeat(at: "cn" | "us", name: string): Call {
  return { method: "POST", at, path: `/v1/sessions/$${name}/heartbeat` };
}

function presence(at: DemoRegion, user: string, options = ""): Call {
  return { method: "GET", at, path: `/v1/users/${user}/presence${options}` };
}

function setLink(link: string, cut: boolean): Call {
  return { method: "PUT", at: "control", path: `/links/${link}`, body: { cut } };
}

function oneWayMs(from: DemoRegion, to: DemoRegion): number {
  return linkBetween(from, to).rttMs / 2;
}

/** From us by the home to cn. */
function wayMs(): number {
  return oneWayMs("us", "eu") + oneWayMs("eu", "cn");
}
