/**
 * Friend requests over HTTP. Writes are acknowledged by a peer unless asked otherwise; a write that carries a token is decided when this
 * replica has what it speaks of, and not at all where that does not arrive. Reads take the options of all reads.
 */
import type { Static } from "typebox";

import { LIMITS } from "../../replicator/core/limits.ts";
import { formatToken } from "../../replicator/core/token.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import { MESSAGE, isText } from "../../replicator/wire/fields.ts";
import { acknowledged } from "../presence/acknowledge.ts";
import { presenceAnswer } from "../presence/answers.ts";
import { Refusal, invalidRequest, unwrap } from "../presence/problems.ts";
import { TOKEN_HEADER, readOptions, readToken } from "../presence/reading.ts";
import type { Reads } from "../presence/reads.ts";
import type { RouteContext, Scope } from "../presence/routes/scope.ts";
import { CANARY_PREFIX, NoQuery, ReadHeaders } from "../presence/schemas.ts";
import type { Consistency } from "../presence/service.ts";
import { formatCursor, parseCursor, parseRequestId, requestId } from "./names.ts";
import { aboutFriends, aboutRequests } from "./pages.ts";
import type { Page, Shown } from "./pages.ts";
import { tokenNotMet } from "./refusals.ts";
import { VERBS } from "./requests.ts";
import type { FriendRequests } from "./requests.ts";
import * as schemas from "./schemas.ts";

export interface FriendRoutesOptions {
  readonly requests: FriendRequests;
  readonly reads: Reads;
  readonly shown: Shown;
  readonly clock: Clock;
  /** Hears how each read was met. */
  readonly met: (consistency: Consistency) => void;
}

const tags = ["friends"];
const PAGE = 50;
const ACK = "peer";

export function friendWriteRoutes(
  app: Scope,
  { operations }: RouteContext,
  { requests, reads }: FriendRoutesOptions,
): void {
  app.post(
    "/v1/friend-requests",
    {
      schema: {
        tags,
        summary:
          "Ask a user to be friends; asking again asks the same, and two who ask each other are friends",
        querystring: NoQuery,
        headers: ReadHeaders,
        body: schemas.AskFriend,
        response: { 201: schemas.AskedFriend },
      },
    },
    async (request, reply) => {
      const { from, to, message = "", ack = ACK } = request.body;
      if (from === to) throw badField("/to", "must be another user than `from`");
      if (!isText(MESSAGE, message))
        throw badField(
          "/message",
          `must be at most ${LIMITS.friendMessageBytesMax} bytes of well-formed text`,
        );
      await heard(reads, request.headers);
      const asked = unwrap(await requests.ask(from, to, message));
      const { id, state } = asked;
      const token = await acknowledged(operations, ack, asked.token, { id, state });
      return reply.code(201).header(TOKEN_HEADER, token).send({ id, state, token });
    },
  );

  for (const verb of VERBS)
    app.post(
      `/v1/friend-requests/:id/${verb}`,
      {
        schema: {
          tags,
          summary: `The ${verb === "cancel" ? "sender cancels" : `recipient ${verb}s`} a request`,
          params: schemas.RequestPath,
          querystring: NoQuery,
          headers: ReadHeaders,
          body: schemas.Act,
          response: { 200: schemas.Acted },
        },
      },
      async (request, reply) => {
        const { user, ack = ACK } = request.body ?? {};
        assertUnreserved(request.params.id);
        await heard(reads, request.headers);
        const acted = unwrap(await requests.act(verb, request.params.id, user));
        const { state } = acted;
        const token = await acknowledged(operations, ack, acted.token, { state });
        return reply.code(200).header(TOKEN_HEADER, token).send({ state, token });
      },
    );

  app.delete(
    "/v1/users/:user/friends/:other",
    {
      schema: {
        tags,
        summary: "End a friendship; `state` is what the two are then, and either may ask anew",
        params: schemas.FriendPath,
        querystring: schemas.PartQuery,
        headers: ReadHeaders,
        response: { 200: schemas.Acted },
      },
    },
    async (request, reply) => {
      const { user, other } = request.params;
      const { ack = ACK } = request.query;
      if (user === other)
        throw invalidRequest([
          { in: "path", pointer: "/other", message: "must be another user than `user`" },
        ]);
      await heard(reads, request.headers);
      const parted = unwrap(await requests.part(user, other));
      const { state } = parted;
      const token = await acknowledged(operations, ack, parted.token, { state });
      return reply.code(200).header(TOKEN_HEADER, token).send({ state, token });
    },
  );

  app.put(
    "/v1/users/:user/friend-requests/read",
    {
      schema: {
        tags,
        summary: "Mark as read what a page showed, and nothing that came since",
        params: schemas.UserPath,
        querystring: NoQuery,
        headers: ReadHeaders,
        body: schemas.MarkRead,
        response: { 200: schemas.MarkedRead },
      },
    },
    async (request, reply) => {
      const { offset, ack = ACK } = request.body;
      await heard(reads, request.headers);
      const read = unwrap(await requests.markRead(request.params.user, offset));
      const { unread } = read;
      const token = await acknowledged(operations, ack, read.token, { unread });
      return reply.code(200).header(TOKEN_HEADER, token).send({ unread, token });
    },
  );
}

export function friendReadRoutes(
  app: Scope,
  { service }: RouteContext,
  { reads, shown, clock, met }: FriendRoutesOptions,
): void {
  app.get(
    "/v1/users/:user/friend-requests",
    {
      schema: {
        tags,
        summary: "Requests that wait for an answer: to the user, or of the user",
        params: schemas.UserPath,
        querystring: schemas.RequestsQuery,
        headers: ReadHeaders,
        response: { 200: schemas.Requests },
      },
    },
    async (request, reply) => {
      const { direction = "in", limit = PAGE, cursor } = request.query;
      const { user } = request.params;
      const question = { kind: "friend-requests", user, direction, limit, ...after(cursor) } as const;
      const read = unwrap(
        await reads.readAbout(aboutRequests(shown, service.regions, question), readOptions(request)),
      );
      const { value, consistency, applied } = read;
      met(consistency);
      return reply
        .code(200)
        .header(TOKEN_HEADER, formatToken(applied))
        .send({ ...pageAnswer(value), consistency });
    },
  );

  app.get(
    "/v1/users/:user/friends",
    {
      schema: {
        tags,
        summary: "The user's friends, and who of them is online",
        params: schemas.UserPath,
        querystring: schemas.FriendsQuery,
        headers: ReadHeaders,
        response: { 200: schemas.FriendsPage },
      },
    },
    async (request, reply) => {
      const { limit = PAGE, cursor } = request.query;
      const { user } = request.params;
      const question = { kind: "friends", user, limit, ...after(cursor) } as const;
      const about = aboutFriends(shown, service.regions, question, clock);
      const { value, consistency, applied } = unwrap(await reads.readAbout(about, readOptions(request)));
      met(consistency);
      const list = value.friends.map((one) => ({ user: one.user, presence: presenceAnswer(one.presence) }));
      return reply
        .code(200)
        .header(TOKEN_HEADER, formatToken(applied))
        .send({ friends: list, ...cursorAnswer(value.next), consistency });
    },
  );
}

/** Waits, where a token was sent, until what it speaks of is here. Throws the refusal of one that is not met, is replaced or cannot be read. */
async function heard(reads: Reads, headers: Static<typeof ReadHeaders>): Promise<void> {
  const text = headers[TOKEN_HEADER];
  if (text === undefined) return;
  const met = unwrap(
    await reads.meet({ mode: "token", token: readToken(text), waitMs: LIMITS.latestWaitMs }),
  );
  if (!met.satisfied) throw new Refusal(tokenNotMet(met).problem);
}

/** A canary's request is for nobody to answer. */
function assertUnreserved(id: string): void {
  const { from = "", to = "" } = parseRequestId(id) ?? {};
  if (from.startsWith(CANARY_PREFIX) || to.startsWith(CANARY_PREFIX))
    throw invalidRequest([{ in: "path", pointer: "/id", message: "must not be of reserved users" }]);
}

function pageAnswer({
  requests,
  next,
  unread,
  offset,
  readOffset,
}: Page): Omit<Static<typeof schemas.Requests>, "consistency"> {
  return {
    requests: requests.map(({ round, atMs, ...one }) => ({
      id: requestId({ from: one.from, to: one.to, round }),
      state: "requested" as const,
      askedAt: new Date(atMs).toISOString(),
      ...one,
    })),
    unread,
    ...(offset !== undefined && { offset }),
    readOffset,
    ...cursorAnswer(next),
  };
}

function after(cursor: string | undefined): { readonly after?: string } {
  if (cursor === undefined) return {};
  const last = parseCursor(cursor);
  if (last === undefined)
    throw new Refusal({ name: "invalid-cursor", detail: "This list gave no such cursor." });
  return { after: last };
}

function cursorAnswer(next: string | undefined): { readonly cursor?: string } {
  return next === undefined ? {} : { cursor: formatCursor(next) };
}

function badField(pointer: string, message: string): Refusal {
  return invalidRequest([{ in: "body", pointer, message }]);
}
