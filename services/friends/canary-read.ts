/**
 * What a canary asks of another region's node: to read the requests to one of its users just as a user there would, so that any region may
 * answer in that node's place. Rule: only for the canary's own users; these reads count with nobody's.
 */
import { Type } from "typebox";
import type { Static } from "typebox";
import { Compile } from "typebox/compile";

import type { Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { TOKEN_TEXT_MAX, parseToken } from "../../replicator/core/token.ts";
import type { Reads } from "../presence/reads.ts";
import { AnyUser, CANARY_PREFIX, choice } from "../presence/schemas.ts";
import type { ReadOptions } from "../presence/service.ts";
import { PAGE, aboutRequests } from "./pages.ts";
import type { Shown } from "./pages.ts";

export const CANARY_READS = ["token", "latest"] as const;
export type CanaryRead = (typeof CANARY_READS)[number];

/** For the read there; what is left of the longest wait is for the way. */
const WAIT_MS = LIMITS.waitMsMax - 1_000;

const QUESTION = Type.Object({
  kind: choice(["canary"]),
  user: AnyUser,
  read: choice(CANARY_READS),
  /** Of the request that is looked for. */
  token: Type.String({ maxLength: TOKEN_TEXT_MAX }),
});
export type CanaryQuestion = Static<typeof QUESTION>;

const ANSWER = Type.Object({
  satisfied: Type.Boolean(),
  waitedMs: Type.Number({ minimum: 0 }),
  /** Whose replica it was: `us`, or `home:cn`. */
  servedBy: Type.String({ pattern: "^(?:home:)?[a-z][a-z0-9-]{0,15}$" }),
  page: PAGE,
});
export type CanaryAnswer = Static<typeof ANSWER>;

const isQuestion = Compile(QUESTION);
export const isCanaryAnswer = Compile(ANSWER);

/** `undefined` for another question, as a whole, and in the end for one that cannot be answered. */
export function canaryAnswerTo(
  question: unknown,
  reads: Reads,
  shown: Shown,
  regions: readonly Region[],
): Promise<CanaryAnswer | undefined> | undefined {
  if (!isQuestion.Check(question) || !question.user.startsWith(CANARY_PREFIX)) return undefined;
  const options = optionsOf(question);
  return options && answered(question, options, reads, shown, regions);
}

function optionsOf({ read, token: text }: CanaryQuestion): ReadOptions | undefined {
  if (read === "latest") return { mode: "latest", waitMs: WAIT_MS };
  const token = parseToken(text);
  return token && { mode: "token", token, waitMs: WAIT_MS };
}

async function answered(
  { user }: CanaryQuestion,
  options: ReadOptions,
  reads: Reads,
  shown: Shown,
  regions: readonly Region[],
): Promise<CanaryAnswer | undefined> {
  const about = aboutRequests(shown, regions, { kind: "friend-requests", user, direction: "in", limit: 1 });
  const read = await reads.probe(about, options);
  if (!read.ok) return undefined;
  const { satisfied, waitedMs, servedBy } = read.value.consistency;
  return { satisfied, waitedMs, servedBy, page: read.value.value };
}
