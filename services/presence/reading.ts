/**
 * The read options, the same on every read: which consistency is asked for, and how it was met.
 * Rule: an answer that does not satisfy its token says so and is still given; an option that cannot be honoured is
 * refused, never ignored.
 */
import type { FastifyReply } from "fastify";
import type { Static } from "typebox";

import type { UserId } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { formatToken, parseToken, type Token } from "../../replicator/core/token.ts";
import { type HttpProblemName, Refusal, unwrap } from "./problems.ts";
import type { ReadHeaders, ReadQuery } from "./schemas.ts";
import type { Consistency, PresenceService, Reading, ReadOptions } from "./service.ts";

export const TOKEN_HEADER = "rollcall-token";

type Asked = Static<typeof ReadQuery>;

export interface ReadRequest {
  readonly query: Asked;
  readonly headers: Static<typeof ReadHeaders>;
}

/** Waits as long as asked, then says how the token was met. What is read after this has at least that much. */
export async function settle(
  service: PresenceService,
  request: ReadRequest,
  reply: Pick<FastifyReply, "header">,
): Promise<Consistency> {
  const consistency = unwrap(await service.consistency(readOptions(request)));
  reply.header(TOKEN_HEADER, formatToken(service.applied()));
  return consistency;
}

/** The same for a read of users, whom another region's node may answer for. */
export async function readUsers(
  service: PresenceService,
  users: readonly UserId[],
  request: ReadRequest,
  reply: Pick<FastifyReply, "header">,
): Promise<Reading> {
  const reading = unwrap(await service.read(users, readOptions(request)));
  reply.header(TOKEN_HEADER, formatToken(reading.applied));
  return reading;
}

/** Reads a token's text; throws the refusal of anything else. */
export function readToken(text: string): Token {
  const token = parseToken(text);
  if (token === undefined) throw refusal("malformed-token", "The consistency token cannot be read.");
  return token;
}

/** How the read is to be met. Throws the refusal of options that do not go together. */
export function readOptions({ query, headers }: ReadRequest): ReadOptions {
  const text = tokenText(query.token, headers[TOKEN_HEADER]);
  const token = text === undefined ? undefined : readToken(text);
  const { maxStalenessMs } = query;
  const implied = maxStalenessMs === undefined ? "any" : "bounded";
  const mode = query.consistency ?? (token === undefined ? implied : "token");
  if (maxStalenessMs !== undefined && mode !== "bounded")
    throw refusal("conflicting-consistency", `maxStalenessMs belongs to bounded, and ${mode} was asked for.`);
  if (token !== undefined && (mode === "any" || mode === "bounded"))
    throw refusal(
      "conflicting-consistency",
      `A token belongs to token or latest, and ${mode} was asked for.`,
    );
  switch (mode) {
    case "any":
      return { mode };
    case "bounded":
      if (maxStalenessMs === undefined)
        throw refusal("conflicting-consistency", "consistency=bounded was asked for without maxStalenessMs.");
      return { mode, maxStalenessMs, waitMs: query.waitMs ?? 0 };
    case "token":
      if (token === undefined)
        throw refusal("missing-token", "consistency=token was asked for without a token.");
      return { mode, token, waitMs: query.waitMs ?? 0 };
    case "latest":
      return { mode, ...(token !== undefined && { token }), waitMs: query.waitMs ?? LIMITS.latestWaitMs };
  }
}

function tokenText(inQuery: string | undefined, inHeader: string | undefined): string | undefined {
  if (inQuery !== undefined && inHeader !== undefined && inQuery !== inHeader) {
    throw refusal("conflicting-tokens", "The header Rollcall-Token and ?token= are not the same.");
  }
  return inQuery ?? inHeader;
}

function refusal(name: HttpProblemName, detail: string): Refusal {
  return new Refusal({ name, detail });
}
