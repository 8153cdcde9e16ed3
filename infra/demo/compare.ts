/**
 * Compares what the regions say of everyone online.
 * Rule: equal means the same users with the same home, epoch, version, status and sessions in every region, each user once, and at
 * least one user. Ages and clocks are not state.
 */
import type { Presence, RegionApi } from "./api.ts";
import { REGIONS, type DemoRegion } from "./topology.ts";
import { waitFor, type Look } from "./wait.ts";

const EXAMPLES = 3;
const LOOK_EVERY_MS = 200;

export interface State {
  readonly users: number;
  readonly sessions: number;
  readonly byRegion: Readonly<Record<DemoRegion, readonly Presence[]>>;
}

/** Resolves once all regions say the same, with that state and how long it took; rejects with the differences at the deadline. */
export function untilEqual(
  apis: Readonly<Record<DemoRegion, RegionApi>>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<{ value: State; tookMs: number }> {
  const waiting = {
    what: "the states of all regions to be equal",
    timeoutMs,
    everyMs: LOOK_EVERY_MS,
    signal,
  };
  return waitFor(waiting, async (): Promise<Look<State>> => {
    const [cn, us, eu] = await Promise.all([apis.cn.online(), apis.us.online(), apis.eu.online()]);
    if (!cn.ok || !us.ok || !eu.ok) return { done: false, seen: "a region does not answer" };
    const byRegion = { cn: cn.value, us: us.value, eu: eu.value };
    const difference = describeDifference(byRegion);
    if (difference !== undefined) return { done: false, seen: difference };
    const sessions = cn.value.reduce((sum, presence) => sum + presence.sessions.length, 0);
    return { done: true, value: { users: cn.value.length, sessions, byRegion } };
  });
}

/** The first differences, in words; `undefined` when the states are equal and there is something in them. */
export function describeDifference(byRegion: State["byRegion"]): string | undefined {
  const texts = REGIONS.map((region) => [region, asTexts(byRegion[region])] as const);
  for (const [region, text] of texts)
    if (text.size !== byRegion[region].length) return `${region} lists a user twice`;
  const users = new Set(texts.flatMap(([, text]) => [...text.keys()]));
  if (users.size === 0) return "nobody is online anywhere";
  const differing = [...users].filter((user) => new Set(texts.map(([, text]) => text.get(user))).size > 1);
  if (differing.length === 0) return undefined;
  const examples = differing
    .slice(0, EXAMPLES)
    .map((user) => texts.map(([region, text]) => `${region} ${text.get(user) ?? "nothing"}`).join(" | "));
  return `${differing.length} of ${users.size} users differ: ${examples.join("; ")}`;
}

function asTexts(presences: readonly Presence[]): Map<string, string> {
  return new Map(presences.map((presence) => [presence.user, asText(presence)]));
}

function asText({ user, status, home, epoch, version, sessions }: Presence): string {
  const inOrder = sessions
    .map(({ session, region, platform, status: sessionStatus }) =>
      [session, region, platform, sessionStatus].join("/"),
    )
    .toSorted();
  return JSON.stringify([user, status, home, epoch, version, inOrder]);
}
