/**
 * `rollcall check friends`: one friend request is made in one region and looked for in another at the moment of its acknowledgement, by the
 * token, by the latest and by a naive read; then it is taken back. Rule: a read that claims to have it and lacks it is the worst that can
 * be; one that says what is missing is no lie.
 */
import { performance } from "node:perf_hooks";

import { Type } from "typebox";
import { Compile } from "typebox/compile";

import type { Region } from "../../replicator/core/commands.ts";
import type { Api } from "./api.ts";

export interface Place {
  readonly region: Region;
  readonly api: Api;
}

export interface Look {
  readonly by: "token" | "latest" | "nothing";
  readonly shown: boolean;
  readonly satisfied: boolean;
  /** From the acknowledgement to the answer. */
  readonly ms: number;
  readonly servedBy: string;
  /** Where it was not satisfied: what it said of that. */
  readonly lacks: string;
}

export interface Check {
  readonly from: Region;
  readonly to: Region;
  readonly acknowledgedMs: number;
  readonly looks: readonly Look[];
}

export const VERDICTS = { seen: 0, incomplete: 1, false: 3, unchecked: 4 } as const;
export type Verdict = keyof typeof VERDICTS;

const WAIT_MS = 5_000;

const isAsked = Compile(Type.Object({ id: Type.String(), state: Type.String(), token: Type.String() }));
const isList = Compile(
  Type.Object({
    requests: Type.Array(Type.Object({ id: Type.String() })),
    consistency: Type.Object({
      satisfied: Type.Boolean(),
      servedBy: Type.String(),
      missing: Type.Optional(Type.Record(Type.String(), Type.Number())),
      unheard: Type.Optional(Type.Array(Type.String())),
    }),
  }),
);

/** Throws with the reason where a region cannot be asked, or answers something else. */
export async function checkFriends(from: Place, to: Place): Promise<Check> {
  const users = { from: `rollcall.check.${from.region}.to.${to.region}`, to: `rollcall.check.${to.region}` };
  await takeBack(from, users.from);
  const startedMs = performance.now();
  const asked = await from.api("POST", "/v1/friend-requests", { ...users, ack: "local" });
  const ackedMs = performance.now();
  if (!isAsked.Check(asked)) throw new Error(`${from.region} answers in another shape`);
  const { id, token } = asked;
  const look = async (by: Look["by"], query: string): Promise<Look> => {
    const seen = await listAt(to, `${users.to}/friend-requests${query}`);
    const { satisfied, servedBy, missing = {}, unheard = [] } = seen.consistency;
    const lacks = [
      ...Object.entries(missing).map(([region, n]) => `${n} frames of ${region}`),
      ...unheard.map((region) => `whatever ${region} has of late`),
    ].join(", ");
    const shown = seen.requests.some((one) => one.id === id);
    return { by, shown, satisfied, ms: performance.now() - ackedMs, servedBy, lacks };
  };
  const looks = await Promise.all([
    look("nothing", ""),
    look("token", `?token=${encodeURIComponent(token)}&waitMs=${WAIT_MS}`),
    look("latest", `?consistency=latest&waitMs=${WAIT_MS}`),
  ]);
  await takeBack(from, users.from);
  return { from: from.region, to: to.region, acknowledgedMs: ackedMs - startedMs, looks };
}

export function verdictOf({ looks }: Check): Verdict {
  const claiming = looks.filter(({ by }) => by !== "nothing");
  if (claiming.some(({ satisfied, shown }) => satisfied && !shown)) return "false";
  return claiming.every(({ satisfied }) => satisfied) ? "seen" : "incomplete";
}

/** What was seen, a sentence each. */
export function inWords(check: Check): string[] {
  const { from, to, acknowledgedMs, looks } = check;
  const verdicts: Record<Verdict, string> = {
    seen: `A request made in ${from} is seen in ${to}.`,
    incomplete: `${to} lacks something, and says so.`,
    false: `${to} CLAIMS TO HAVE EVERYTHING AND LACKS THE REQUEST: a token that is satisfied is false.`,
    unchecked: "",
  };
  return [
    `${from} acknowledged a friend request after ${Math.round(acknowledgedMs)} ms (ack=local).`,
    ...looks.map((look) => `${to}, ${sentenceOf(look)}`),
    verdicts[verdictOf(check)],
  ];
}

const ASKING: Readonly<Record<Look["by"], string>> = {
  nothing: "by a read at that moment that asked for nothing",
  token: "by the token",
  latest: "by consistency=latest",
};

function sentenceOf({ by, shown, satisfied, ms, servedBy, lacks }: Look): string {
  const shows = shown ? "shows it" : "does not show it";
  const claims =
    by === "nothing" ? ", and claims nothing" : satisfied ? "" : `, and says that it lacks ${lacks}`;
  return `${ASKING[by]}: ${shows} after ${Math.round(ms)} ms${claims}; answered by ${servedBy}.`;
}

/** What a check before may have left. */
async function takeBack(from: Place, user: string): Promise<void> {
  const { requests } = await listAt(from, `${user}/friend-requests?direction=out`);
  for (const { id } of requests) await from.api("POST", `/v1/friend-requests/${id}/cancel`, { ack: "local" });
}

async function listAt({ region, api }: Place, path: string) {
  const seen = await api("GET", `/v1/users/${path}`);
  if (!isList.Check(seen)) throw new Error(`${region} answers in another shape`);
  return seen;
}
