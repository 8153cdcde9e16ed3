/**
 * The read options, the same on every read: which consistency is asked for, and how it was met.
 * Rule: an answer that does not satisfy its token says so and is still given; an option that cannot be honoured is
 * refused, never ignored.
 */
import type { FastifyReply } from "fastify";
import type { Static } from "typebox";

import { formatToken, parseToken, type Token } from "../../replicator/core/token.ts";
import { type HttpProblemName, Refusal, unwrap } from "./problems.ts";
import type { ReadHeaders, ReadQuery } from "./schemas.ts";
import type { Consistency, PresenceService, ReadOptions } from "./service.ts";

export const TOKEN_HEADER = "rollcall-token";

type Asked = Static<typeof ReadQuery>;

interface ReadRequest {
  readonly query: Asked;
  readonly headers: Static<typeof ReadHeaders>;
}

/** Waits as long as asked, then says how the token was met. What is read after this has at least that much. */
export async function settle(
  service: PresenceService,
  request: ReadRequest,
  reply: Pick<FastifyReply, "header">,
): Promise<Consistency> {
  const consistency = unwrap(await service.consistency(readOptions(request.query, request.headers)));
  reply.header(TOKEN_HEADER, formatToken(service.applied()));
  return consistency;
}

/** Reads a token's text; throws the refusal of anything else. */
function readToken(text: string): Token {
  const token = parseToken(text);
  if (token === undefined) throw refusal("malformed-token", "The consistency token cannot be read.");
  return token;
}

function readOptions(query: Asked, headers: Static<typeof ReadHeaders>): ReadOptions {
  const text = tokenText(query.token, headers[TOKEN_HEADER]);
  const token = text === undefined ? undefined : readToken(text);
  const mode = query.consistency ?? (token === undefined ? "any" : "token");
  if (mode === "bounded" || mode === "latest") {
    throw refusal("unsupported-consistency", `consistency=${mode} is not supported yet; use any, or token.`);
  }
  if (query.maxStalenessMs !== undefined) {
    throw refusal(
      "unsupported-consistency",
      "maxStalenessMs belongs to bounded, which is not supported yet.",
    );
  }
  if (mode === "any") return { waitMs: 0 };
  if (token === undefined) throw refusal("missing-token", "consistency=token was asked for without a token.");
  return { token, waitMs: query.waitMs ?? 0 };
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
