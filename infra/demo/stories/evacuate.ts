/**
 * A living region is evacuated and gets its users back: the plan, a refusal, the progress, the return, the audit trail, with everybody's
 * presence judged in all three regions all the time.
 */
import { Type, type Static } from "typebox";
import { defined } from "../../../replicator/core/assert.ts";
import { Checker } from "../checker.ts";
import { untilEqual } from "../compare.ts";
import { REGIONS, type DemoRegion } from "../topology.ts";
import { LINK } from "./shapes.ts";
import { StoryFailure, type Story } from "./story.ts";
import type { Call } from "./telling.ts";

const RESIDENTS: Readonly<Record<DemoRegion, number>> = { cn: 80, us: 20, eu: 20 };
const RESIDENTS_ALL = REGIONS.reduce((sum, region) => sum + RESIDENTS[region], 0);
/** A verdict over fewer reads would say nothing. */
const JUDGED_MIN = 1_000;
const CONVERGE_TIMEOUT_MS = 30_000;

const REGION = Type.Object({
  region: Type.String(),
  homes: Type.Number(),
  evacuation: Type.Object({
    state: Type.String(),
    usersLeft: Type.Optional(Type.Union([Type.Number(), Type.Null()])),
    to: Type.Optional(Type.String()),
  }),
});
const REGION_LIST = { status: 200, shape: Type.Object({ regions: Type.Array(REGION) }) };
type RegionList = Static<typeof REGION_LIST.shape>;

const REFUSALS = Type.Array(
  Type.Object({ reason: Type.String(), detail: Type.String(), canForce: Type.Boolean() }),
);
const PLAN = {
  status: 200,
  shape: Type.Object({
    plan: Type.Object({
      users: Type.Number(),
      sessions: Type.Number(),
      positions: Type.Record(Type.String(), Type.Number()),
      late: Type.Array(Type.Object({ origin: Type.String(), replica: Type.String(), state: Type.String() })),
      refusals: REFUSALS,
    }),
    evacuation: Type.Object({ state: Type.String() }),
  }),
};
const REFUSED = {
  status: 409,
  shape: Type.Object({ title: Type.String(), detail: Type.String(), reasons: REFUSALS }),
};
const DECIDED = {
  status: 200,
  shape: Type.Object({
    evacuation: Type.Object({
      state: Type.String(),
      usersLeft: Type.Optional(Type.Union([Type.Number(), Type.Null()])),
      decision: Type.Object({ reason: Type.String(), by: Type.String() }),
      until: Type.Optional(Type.String()),
    }),
  }),
};
const OPENED = {
  status: 201,
  shape: Type.Object({ session: Type.String(), home: Type.String(), region: Type.String() }),
};
const PRESENCE = {
  status: 200,
  shape: Type.Object({
    status: Type.String(),
    home: Type.String(),
    sessions: Type.Array(Type.Object({ region: Type.String() })),
  }),
};
const AUDIT = {
  status: 200,
  shape: Type.Object({
    entries: Type.Array(Type.Object({ value: Type.String(), reason: Type.String(), by: Type.String() })),
  }),
};

export async function evacuate(story: Story): Promise<string[]> {
  story.begin(
    `The machines of cn are to get a new cooling. All users whose home is cn are to have their home in us meanwhile. ${RESIDENTS_ALL} of them are logged in, ${RESIDENTS.cn} in cn and ${RESIDENTS.us + RESIDENTS.eu} abroad, beside the demo's usual traffic, in which users of all regions log in and out. From their logins to the end of the story every region is asked again and again whether they are online.`,
  );
  const checker = new Checker(story.apis);
  checker.start();
  try {
    await moveIn(story, checker);
    await plan(story);
    await refusal(story);
    const awayMs = await away(story, checker);
    const backMs = await back(story);
    await audit(story);
    const judged = await verdict(story, checker);
    return [
      `All users of cn had their home in us ${inSeconds(awayMs)} after the decision, and were back ${inSeconds(backMs)} after the restore.`,
      `${judged} reads in three regions were judged meanwhile: nobody was shown as offline. Every login that was acknowledged is there.`,
    ];
  } finally {
    await checker.stop();
  }
}

async function moveIn(story: Story, checker: Checker): Promise<void> {
  story.scene("The users of cn log in", `Those abroad too: their home is cn, wherever they are.`);
  const logins = REGIONS.flatMap((region) =>
    Array.from({ length: RESIDENTS[region] }, (_, i) => ({ region, user: `${region}-resident-${i + 1}` })),
  );
  for (const { region, user } of logins) await logIn(checker, region, user, "cn");
  const { value } = await story.callUntil(regionsAt("eu"), REGION_LIST, {
    isDone: (list) => regionOf(list, "cn").homes >= RESIDENTS_ALL,
  });
  story.claim(
    value.regions.every(({ evacuation }) => evacuation.state === "home"),
    `eu knows of all of them: cn is the home of ${regionOf(value, "cn").homes} users`,
  );
}

async function plan(story: Story): Promise<void> {
  story.scene(
    "The plan first",
    "dryRun: who would move, what speaks against it, which links are late. Nothing is decided.",
  );
  const { value } = await story.call(evacuateCall({ dryRun: true }), PLAN);
  story.claim(value.plan.users >= RESIDENTS_ALL, `${value.plan.users} users would move`);
  story.claim(
    value.plan.refusals.length === 0 && value.evacuation.state === "home",
    "nothing speaks against it, and nothing was decided",
  );
}

async function refusal(story: Story): Promise<void> {
  story.scene(
    "What if us cannot be reached?",
    "The line between cn and us is cut. A moment later both ends know.",
  );
  await story.call(setLink(true), LINK);
  const { value } = await story.callUntil(evacuateCall({ dryRun: true }), PLAN, {
    isDone: (told) => told.plan.refusals.length > 0,
  });
  story.claim(
    value.plan.late.length > 0,
    "the plan names the links that are not live, and what speaks against it",
  );
  const { value: refused } = await story.call(evacuateCall({}), REFUSED);
  story.claim(
    refused.reasons.some(({ reason, canForce }) => reason === "heir-behind" && canForce),
    "the evacuation is refused, and the answer says why; whoever takes the risk can force it",
  );
  story.say("The line is healed:");
  await story.call(setLink(false), LINK);
  await story.callUntil(evacuateCall({ dryRun: true }), PLAN, {
    isDone: (told) => told.plan.refusals.length === 0 && told.plan.late.length === 0,
  });
}

/** Milliseconds from the decision until no user has their home in cn. */
async function away(story: Story, checker: Checker): Promise<number> {
  story.scene(
    "cn is evacuated",
    "Its users are handed over to us, some at a time. Nobody is logged out: whoever is connected to cn stays connected. expiresInSeconds would restore it by itself.",
  );
  const { atMs, tookMs } = await story.call(evacuateCall({ expiresInSeconds: 3_600 }), DECIDED);
  story.say("Meanwhile somebody new logs in in cn:");
  const { value: newcomer } = await story.call(
    { method: "POST", at: "cn", path: "/v1/sessions", body: { user: "newcomer" } },
    OPENED,
  );
  story.claim(
    newcomer.home === "us" && newcomer.region === "cn",
    "whoever is new in cn begins with a home in us",
  );
  for (const region of REGIONS) await logIn(checker, region, `${region}-newcomer`);
  story.say("How far it is, as eu sees it:");
  const done = await story.callUntil(regionsAt("eu"), REGION_LIST, { isDone: is("evacuated"), progress });
  story.claim(regionOf(done.value, "cn").homes === 0, "no user has their home in cn any more");
  const { value } = await story.callUntil(presenceAt("eu", "cn-resident-1"), PRESENCE, {
    isDone: ({ home }) => home === "us",
  });
  story.claim(
    value.home === "us" && value.status === "online" && value.sessions[0]?.region === "cn",
    "a user of cn: the home is us now, and the session is connected to cn as before",
  );
  return done.atMs - (atMs - tookMs);
}

/** Milliseconds from the decision until everybody is back. */
async function back(story: Story): Promise<number> {
  story.scene(
    "It is cool again",
    "The users come back. cn first gives moves that are under way 5 s to end. Who began in us stays there.",
  );
  const body = { reason: "it is cool again" };
  const { atMs, tookMs } = await story.call(
    { method: "POST", at: "cn", path: "/v1/regions/cn/restore", body },
    DECIDED,
  );
  const done = await story.callUntil(regionsAt("eu"), REGION_LIST, { isDone: is("home"), progress });
  const online = await story.apis.eu.online();
  if (!online.ok) throw new StoryFailure(`eu does not say who is online: ${online.reason}`);
  const residents = online.value.filter(({ user }) => user.includes("-resident-"));
  story.claim(
    residents.length === RESIDENTS_ALL && residents.every(({ home }) => home === "cn"),
    `all ${RESIDENTS_ALL} are online, and have their home in cn again`,
  );
  return done.atMs - (atMs - tookMs);
}

async function audit(story: Story): Promise<void> {
  story.scene(
    "What was decided, by whom and why",
    "The audit trail, newest first; value is what the log of cn has.",
  );
  const { value } = await story.call({ method: "GET", at: "cn", path: "/v1/audit" }, AUDIT);
  const reasons = value.entries.map(({ reason }) => reason);
  story.claim(
    reasons.includes("new cooling") && reasons.includes("it is cool again"),
    "both decisions are in the audit trail, with their reasons",
  );
}

/** How many reads were judged. */
async function verdict(story: Story, checker: Checker): Promise<number> {
  story.scene("And the users?", "What each region said of them, all the time since they logged in.");
  const { judgedReads, falseOffline, staleOffline, acceptedHeartbeats, refusedHeartbeats } = checker.counts();
  story.claim(
    judgedReads >= JUDGED_MIN && falseOffline === 0,
    `${judgedReads} reads of users who were online: ${falseOffline} said offline`,
  );
  if (staleOffline > 0) story.say(`${staleOffline} more said offline, and that they were not in touch.`);
  story.claim(
    refusedHeartbeats === 0,
    `${acceptedHeartbeats} heartbeats were accepted, ${refusedHeartbeats} refused`,
  );
  await story.traffic.stop();
  const { ok, failed } = story.traffic.counts();
  const failures = Object.entries(failed).map(([what, times]) => `${what} ${times} times`);
  if (ok + failures.length > 0)
    story.claim(
      failures.length === 0,
      `the traffic went on: ${ok} requests answered, failed: ${failures.join(", ") || "none"}`,
    );
  const { value: state } = await untilEqual(story.apis, CONVERGE_TIMEOUT_MS, story.signal);
  const lost = new Set(REGIONS.flatMap((region) => checker.missingIn(state.byRegion[region])));
  story.claim(
    lost.size === 0,
    `all regions say the same of ${state.users} users online, and ${lost.size} acknowledged logins are missing`,
  );
  return judgedReads;
}

/** Of somebody who is watched from then on. */
async function logIn(checker: Checker, region: DemoRegion, user: string, home?: DemoRegion): Promise<void> {
  const opened = await checker.login(region, home === undefined ? { user } : { user, home });
  if (!opened.ok) throw new StoryFailure(`the login of ${user} in ${region}: ${opened.reason}`);
}

function evacuateCall(options: { readonly dryRun?: boolean; readonly expiresInSeconds?: number }): Call {
  const body = { to: "us", reason: "new cooling", ...options };
  return { method: "POST", at: "cn", path: "/v1/regions/cn/evacuate", body };
}

function regionsAt(at: DemoRegion): Call {
  return { method: "GET", at, path: "/v1/regions" };
}

function presenceAt(at: DemoRegion, user: string): Call {
  return { method: "GET", at, path: `/v1/users/${user}/presence` };
}

function setLink(cut: boolean): Call {
  return { method: "PUT", at: "control", path: "/links/cn-us", body: { cut } };
}

function regionOf({ regions }: RegionList, name: DemoRegion): Static<typeof REGION> {
  return defined(
    regions.find(({ region }) => region === name),
    "every region is listed",
  );
}

function is(state: string): (list: RegionList) => boolean {
  return (list) => regionOf(list, "cn").evacuation.state === state;
}

function progress(list: RegionList): string {
  const { state, usersLeft } = regionOf(list, "cn").evacuation;
  if (usersLeft === undefined) return `cn: ${state}`;
  return `cn: ${state}, users left: ${usersLeft ?? "being counted"}`;
}

function inSeconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
