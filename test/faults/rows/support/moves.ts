/**
 * Planned moves of users as operators ask for them, and what every replica says of homes afterwards. Rule: who is told to come again comes
 * again, within a patience; who is told where the user lives by now has lost a race.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import type { Presence, RegionApi } from "../../../../infra/demo/api.ts";
import { waitFor, type Look } from "../../../../infra/demo/wait.ts";
import type { Homes } from "../../homes.ts";
import { ask } from "../../operator.ts";
import { exactly, type Figure } from "../../row.ts";
import type { Stage } from "../../stage.ts";

export type Moved = "moved" | "not-home" | "not-now" | "no-answer";

const PATIENCE_MS = 15_000;
const AGAIN_MS = 250;
const BATCH = 1_000;
const LOOK_EVERY_MS = 100;
const EvacuationShape = Compile(Type.Object({ evacuation: Type.Object({}) }));
const RegionsShape = Compile(
  Type.Object({
    regions: Type.Array(
      Type.Object({
        region: Type.String(),
        homes: Type.Integer(),
        evacuation: Type.Object({
          state: Type.String(),
          usersLeft: Type.Optional(Type.Union([Type.Integer(), Type.Null()])),
        }),
      }),
    ),
  }),
);

/** Asks once. */
export async function askToMove(api: RegionApi, user: string, home: string): Promise<Moved> {
  const answer = await api.send("POST", `/v1/users/${user}/home`, { home });
  if (!answer.ok) return "no-answer";
  if (answer.status === 200) return "moved";
  return answer.status === 409 && JSON.stringify(answer.body).includes("/problems/not-home")
    ? "not-home"
    : "not-now";
}

/** Asks until the answer is no "later". */
export async function move(api: RegionApi, user: string, home: string, signal: AbortSignal): Promise<Moved> {
  const untilMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const moved = await askToMove(api, user, home);
    if (moved === "moved" || moved === "not-home" || performance.now() > untilMs) return moved;
    signal.throwIfAborted(); // not a listener per user that waits
    await sleep(AGAIN_MS);
  }
}

/** Decides at a node of the region; it is refused where a region that matters is out of touch: then again. */
export async function decide(
  stage: Stage,
  region: string,
  what: "evacuate" | "restore",
  body: Readonly<Record<string, string>>,
): Promise<void> {
  const { api } = stage.region(region);
  const waiting = { what: `${what} ${region}`, timeoutMs: 60_000, everyMs: AGAIN_MS, signal: stage.signal };
  await waitFor(waiting, async (): Promise<Look<undefined>> => {
    const answer = await api.send("POST", `/v1/regions/${region}/${what}`, body);
    const done = answer.ok && answer.status === 200 && EvacuationShape.Check(answer.body);
    return done ? { done, value: undefined } : { done: false, seen: JSON.stringify(answer) };
  });
}

export interface Standing {
  readonly state: string;
  readonly usersLeft: number | undefined;
  readonly homes: number;
}

/** How a region's evacuation stands, as a node of it says that answers; undefined where none does. */
export async function evacuationOf(stage: Stage, region: string): Promise<Standing | undefined> {
  for (const { api } of stage.region(region).nodes) {
    const answer = await api.send("GET", "/v1/regions");
    if (!answer.ok || answer.status !== 200 || !RegionsShape.Check(answer.body)) continue;
    const own = answer.body.regions.find((one) => one.region === region);
    if (own === undefined) throw new Error(`${region} does not know itself`);
    const { state, usersLeft } = own.evacuation;
    return { state, usersLeft: usersLeft ?? undefined, homes: own.homes };
  }
  return undefined;
}

/** Milliseconds until the region says that it is in that state. */
export async function untilState(
  stage: Stage,
  region: string,
  state: string,
  timeoutMs: number,
): Promise<number> {
  const waiting = {
    what: `${region} to be ${state}`,
    timeoutMs,
    everyMs: LOOK_EVERY_MS,
    signal: stage.signal,
  };
  const { tookMs } = await waitFor(waiting, async () => {
    const seen = await evacuationOf(stage, region);
    return seen?.state === state
      ? { done: true, value: undefined }
      : { done: false, seen: `${seen?.state}, ${seen?.usersLeft ?? "?"} left` };
  });
  return tookMs;
}

/** Resolves when every node shows all of them, at one home each: then nobody claims one of them anew. */
export async function untilKnown(stage: Stage, users: readonly string[]): Promise<void> {
  const nodes = stage.regions.flatMap((region) => region.nodes);
  const what = "every user to be known everywhere";
  const waiting = { what, timeoutMs: 60_000, everyMs: AGAIN_MS, signal: stage.signal };
  await waitFor(waiting, async () => {
    const told = nodes.map(async ({ name, api }) => {
      const answer = await api.presences(users);
      const unknown = answer.ok ? answer.value.filter(isUnsettled).length : users.length;
      return unknown === 0 ? [] : [`${unknown} not at ${name}`];
    });
    const lacking = (await Promise.all(told)).flat();
    return lacking.length === 0
      ? { done: true, value: undefined }
      : { done: false, seen: lacking.join(", ") };
  });
}

/** Not shown, or not by the home's word yet. */
function isUnsettled({ home, version }: Presence): boolean {
  return home === undefined || version === 0;
}

/** What a node tells otherwise than the logs: home and epoch of these users, who have sessions, and how many are homed where. */
export async function homesDiffering(
  stage: Stage,
  { homes }: Homes,
  users: readonly string[],
): Promise<string[]> {
  const counts = new Map<string, number>();
  for (const { home } of homes.values()) counts.set(home, (counts.get(home) ?? 0) + 1);
  const nodes = stage.regions.flatMap((region) => region.nodes);
  const wrong = nodes.map(async ({ name, api }) => {
    const found: string[] = [];
    for (let from = 0; from < users.length; from += BATCH) {
      const answer = await api.presences(users.slice(from, from + BATCH));
      if (!answer.ok) throw new Error(`${name}: ${answer.reason}`);
      for (const { user, home, epoch } of answer.value) {
        const known = homes.get(user);
        const expected = known && [known.home, { generation: known.epoch[0], count: known.epoch[1] }];
        const told = JSON.stringify([home, epoch]);
        if (told !== JSON.stringify(expected))
          found.push(`${user} at ${name}: ${told}, the logs say ${JSON.stringify(expected)}`);
      }
    }
    const { regions } = await ask(api, ["GET", "/v1/regions"], 200, RegionsShape);
    for (const one of regions) {
      const expected = counts.get(one.region) ?? 0;
      if (one.homes !== expected)
        found.push(`${one.homes} are homed in ${one.region} at ${name}, the logs say ${expected}`);
    }
    return found;
  });
  return (await Promise.all(wrong)).flat();
}

/**
 * Invariant 2, of logs that are still. The first epoch is no move's: where a forward of a third region outruns the claim, the new home
 * begins the user at it, until the claim is there.
 */
export function writersFigures(homes: Homes): Figure[] {
  const moved = [...homes.writers].filter(([key]) => !isFirst(key)).map(([, { size }]) => size);
  return [
    exactly("writers per user and epoch of a move, most", Math.max(...moved), 1),
    exactly("epochs of moves with more than one writer", moved.filter((size) => size > 1).length, 0),
    exactly("claims beside the planned ones", homes.claimsUnfounded, 0),
  ];
}

/** In words: who wrote the same epoch, of those of moves or of the first ones. */
export function contestedIn({ writers }: Homes, which: "first" | "moves"): string[] {
  return [...writers].flatMap(([key, regions]) =>
    regions.size === 1 || isFirst(key) !== (which === "first")
      ? []
      : [`${key} was written by ${[...regions].join(", ")}`],
  );
}

function isFirst(key: string): boolean {
  return key.endsWith(" 0.1");
}
