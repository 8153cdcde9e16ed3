/** When something becomes true of a region, by asking it often. Rule: what is measured is the moment of the answer, not of the look after it. */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Link } from "../../infra/demo/api.ts";
import { waitFor, type Look } from "../../infra/demo/wait.ts";
import { repeat } from "./repeat.ts";
import type { StageRegion } from "./stage-region.ts";

const LOOK_EVERY_MS = 10;

export interface Since {
  /** Monotonic: the moment from which to count. */
  readonly sinceMs: number;
  readonly timeoutMs: number;
}

/** Milliseconds from `sinceMs` until `/readyz` answers with this status. */
export async function untilReadyz({ name, api }: StageRegion, status: number, since: Since): Promise<number> {
  const what = `/readyz of ${name} to answer ${status}`;
  return until(what, since, async () => {
    const answer = await api.send("GET", "/readyz");
    if (!answer.ok) return { done: false, seen: answer.reason };
    return answer.status === status
      ? { done: true, value: undefined }
      : { done: false, seen: `${answer.status} ${JSON.stringify(answer.body)}` };
  });
}

/** The link from `origin` to `replica` as this region tells it. */
export async function linkAt(
  { api }: StageRegion,
  origin: string,
  replica: string,
): Promise<Link | undefined> {
  const answer = await api.links();
  return answer.ok
    ? answer.value.find((link) => link.origin === origin && link.replica === replica)
    : undefined;
}

/** Milliseconds from `sinceMs` until this region tells a state of the link that suits. */
export async function untilLink(
  at: StageRegion,
  [origin, replica]: readonly [string, string],
  suits: (state: string) => boolean,
  since: Since,
): Promise<number> {
  return until(`the state of ${origin}→${replica} at ${at.name}`, since, async () => {
    const link = await linkAt(at, origin, replica);
    return link !== undefined && suits(link.state)
      ? { done: true, value: undefined }
      : { done: false, seen: link?.state ?? "no answer" };
  });
}

/**
 * Looks at the links into a region all the time from now on, as it tells them itself; the function returned ends that and says which states
 * each link had, with what was told first of each.
 */
export function watchLinks({
  name,
  api,
}: StageRegion): () => Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  const seen = new Map<string, Map<string, string>>();
  const stopping = new AbortController();
  const looking = repeat(stopping.signal, LOOK_EVERY_MS, async () => {
    const answer = await api.links();
    for (const { origin, replica, state, reason } of answer.ok ? answer.value : []) {
      if (replica !== name) continue;
      const states = seen.get(origin) ?? new Map<string, string>();
      seen.set(origin, states);
      if (!states.has(state)) states.set(state, reason ?? "");
    }
  });
  return async () => {
    stopping.abort();
    await looking;
    return seen;
  };
}

/** Waits a while, less if the signal says so. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(Math.max(0, ms), undefined, { signal });
}

async function until(
  what: string,
  { sinceMs, timeoutMs }: Since,
  look: () => Promise<Look<undefined>>,
): Promise<number> {
  let seenMs = sinceMs;
  await waitFor({ what, timeoutMs, everyMs: LOOK_EVERY_MS }, async () => {
    const seen = await look();
    seenMs = performance.now();
    return seen;
  });
  return seenMs - sinceMs;
}
