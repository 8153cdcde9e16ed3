/**
 * Planned moves of users as operators ask for them, and what every replica says of homes afterwards. Rule: who is told to come again comes
 * again, within a patience; who is told where the user lives by now has lost a race.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import type { RegionApi } from "../../../../infra/demo/api.ts";
import { waitFor, type Look } from "../../../../infra/demo/wait.ts";
import type { Homes } from "../../homes.ts";
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

/** Of these users, those of whom a node does not name the home and epoch that the logs say. */
export async function homesDiffering(
  stage: Stage,
  { homes }: Homes,
  users: readonly string[],
): Promise<string[]> {
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
    return found;
  });
  return (await Promise.all(wrong)).flat();
}

/** Invariant 2, of logs that are still. */
export function writersFigures({ writers, claimsUnfounded }: Homes): Figure[] {
  const counts = [...writers.values()].map(({ size }) => size);
  return [
    exactly("writers per user and epoch, most", Math.max(...counts), 1),
    exactly("epochs with more than one writer", counts.filter((count) => count !== 1).length, 0),
    exactly("claims beside the planned ones", claimsUnfounded, 0),
  ];
}
