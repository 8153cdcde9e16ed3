/**
 * Friend requests of made-up users: asked in one region, looked for in another. Rule: what was acknowledged is known by its id, and a
 * look counts only if its answer has the shape the API promises.
 */
import { performance } from "node:perf_hooks";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import type { RegionApi } from "../../../../infra/demo/api.ts";

const AskedShape = Compile(Type.Object({ id: Type.String(), token: Type.String() }));
const ListShape = Compile(
  Type.Object({
    requests: Type.Array(Type.Object({ id: Type.String() })),
    consistency: Type.Object({ satisfied: Type.Boolean() }),
  }),
);
const WAIT_MS = 5_000;
/** Waits in turn: a slow link may need more than one. */
const WAITS = 4;

export interface FriendRequest {
  readonly id: string;
  readonly to: string;
  readonly token: string;
}

let named = 0;

/** Asks with `ack=peer`, which is the default; undefined where it was not acknowledged. */
export async function ask(api: RegionApi): Promise<FriendRequest | undefined> {
  const number = (named += 1);
  const to = `asked-${number}`;
  const answer = await api.send("POST", "/v1/friend-requests", { from: `asker-${number}`, to });
  const asked = answer.ok && answer.status === 201 && AskedShape.Check(answer.body);
  return asked ? { ...answer.body, to } : undefined;
}

/** From when the asker sends it until the other region shows it to who is asked; infinite if it does not in time. */
export async function endToEndMs(origin: RegionApi, replica: RegionApi): Promise<number> {
  const sentMs = performance.now();
  const request = await ask(origin);
  if (request === undefined) throw new Error("a friend request was not acknowledged");
  for (let waits = 0; waits < WAITS; waits++) {
    const { shown, satisfied } = await look(replica, request, byToken(request));
    if (shown) return performance.now() - sentMs;
    if (satisfied) throw new Error(`${request.to} is said to have all that was asked, and lacks a request`);
  }
  return Number.POSITIVE_INFINITY;
}

/** Of these requests, how many some region does not show to who asks for the latest: a token may be of a log that was replaced since. */
export async function lostRequests(
  apis: readonly RegionApi[],
  requests: readonly FriendRequest[],
): Promise<number> {
  const lacking = requests.map(async (request) => {
    const looks = await Promise.all(apis.map((api) => look(api, request, "consistency=latest")));
    return looks.some(({ shown }) => !shown);
  });
  return (await Promise.all(lacking)).filter(Boolean).length;
}

function byToken({ token }: FriendRequest): string {
  return `consistency=token&token=${encodeURIComponent(token)}`;
}

async function look(
  api: RegionApi,
  { id, to }: FriendRequest,
  query: string,
): Promise<{ shown: boolean; satisfied: boolean }> {
  const answer = await api.send("GET", `/v1/users/${to}/friend-requests?waitMs=${WAIT_MS}&${query}`);
  if (!answer.ok || answer.status !== 200 || !ListShape.Check(answer.body))
    throw new Error(`the inbox of ${to} is answered ${JSON.stringify(answer)}`);
  const { requests, consistency } = answer.body;
  return { shown: requests.some((one) => one.id === id), satisfied: consistency.satisfied };
}
