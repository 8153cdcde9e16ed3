/** How long a login takes to be seen elsewhere. Rule: time begins with the acknowledgement, and an answer counts only if it shows the session. */
import { performance } from "node:perf_hooks";
import type { Clients } from "../../clients.ts";

const WAIT_MS = 5_000;
/** Waits in turn: a slow link may need more than one. */
const WAITS = 4;

/** From the acknowledgement at the origin until the replica has applied it and shows it; infinite if it does not in time. */
export async function visibleMs(clients: Clients, origin: string, replica: string): Promise<number> {
  const entry = await clients.login(origin);
  if (entry === undefined) throw new Error(`a login at ${origin} failed`);
  entry.busy = true; // so that the load leaves it alone
  const committedMs = performance.now();
  const query = `consistency=token&waitMs=${WAIT_MS}&token=${encodeURIComponent(entry.token)}`;
  for (let waits = 0; waits < WAITS; waits++) {
    const answer = await clients.api(replica).send("GET", `/v1/users/${entry.user}/presence?${query}`);
    const tookMs = performance.now() - committedMs;
    if (!answer.ok || answer.status !== 200) throw new Error(`${replica} does not answer for ${entry.user}`);
    const text = JSON.stringify(answer.body);
    if (!text.includes('"satisfied":true')) continue;
    entry.busy = false;
    if (text.includes(entry.session)) return tookMs;
    throw new Error(`${replica} has applied the login of ${entry.user}, and does not show it`);
  }
  return Number.POSITIVE_INFINITY;
}
