/**
 * What is read about friends: pages of the requests that wait for an answer, and of the friends, here or at another region's node. Rule: a page is sorted by
 * the other user; what comes from elsewhere is taken only if it has the shape that is told here.
 */
import { Type } from "typebox";
import type { Static } from "typebox";
import { Compile } from "typebox/compile";

import type { Region, UserId } from "../../replicator/core/commands.ts";
import type { Friends, PairWith } from "../../replicator/core/friends.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Presence } from "../presence/presence.ts";
import { aged } from "../presence/reads.ts";
import type { About } from "../presence/reads.ts";
import { PRESENCE } from "../presence/relay-messages.ts";
import { AnyUser, choice, count } from "../presence/schemas.ts";
import type { PresenceView } from "../presence/service.ts";
import { formatOffset } from "./names.ts";

export const DIRECTIONS = ["in", "out"] as const;

const limit = Type.Integer({ minimum: 1, maximum: LIMITS.friendsPageMax });
const offset = Type.String({ maxLength: LIMITS.readOffsetBytesMax });

const page = { user: AnyUser, limit, after: Type.Optional(AnyUser) };
const REQUESTS_QUESTION = Type.Object({
  kind: choice(["friend-requests"]),
  direction: choice(DIRECTIONS),
  ...page,
});
const FRIENDS_QUESTION = Type.Object({ kind: choice(["friends"]), ...page });
export type RequestsQuestion = Static<typeof REQUESTS_QUESTION>;
export type FriendsQuestion = Static<typeof FRIENDS_QUESTION>;

/** What of a node the pages are made of. */
export interface Shown {
  /** Of the replica of the moment. */
  readonly friends: () => Friends;
  readonly presence: (user: UserId) => PresenceView;
  /** `Reads.unsureOf` */
  readonly unsure: (users: readonly UserId[]) => readonly Region[];
}

export const PAGE = Type.Object({
  requests: Type.Array(
    Type.Object({
      from: AnyUser,
      to: AnyUser,
      round: Type.Integer({ minimum: 1 }),
      message: Type.String({ maxLength: LIMITS.friendMessageBytesMax }),
      /** Within what a date can be. */
      atMs: Type.Integer({ minimum: -8.64e15, maximum: 8.64e15 }),
      /** Of those to the user. */
      unread: Type.Optional(Type.Boolean()),
    }),
    { maxItems: LIMITS.friendsPageMax },
  ),
  /** Behind whom the next page begins; absent on the last. */
  next: Type.Optional(AnyUser),
  /** Of all requests to the user. */
  unread: count(),
  /** What this page shows of them; absent where it shows the user's own. */
  offset: Type.Optional(offset),
  /** What the user has noted last; empty for nothing. */
  readOffset: offset,
});
export type Page = Static<typeof PAGE>;

const FRIENDS_PAGE = Type.Object({
  friends: Type.Array(Type.Object({ user: AnyUser, presence: PRESENCE }), {
    maxItems: LIMITS.friendsPageMax,
  }),
  next: Type.Optional(AnyUser),
});
export interface FriendsPage {
  readonly friends: readonly { readonly user: UserId; readonly presence: PresenceView }[];
  readonly next?: UserId;
}

const isRequestsQuestion = Compile(REQUESTS_QUESTION);
const isFriendsQuestion = Compile(FRIENDS_QUESTION);
export const isPage = Compile(PAGE);
const isFriendsPage = Compile(FRIENDS_PAGE);

export function shownBy(presence: Presence): Shown {
  return {
    friends: () => presence.node.replica.friends,
    presence: (user) => presence.presence(user),
    unsure: (users) => presence.reads.unsureOf(users),
  };
}

function pageOf(friends: Friends, { user, direction, limit: max, after }: RequestsQuestion): Page {
  const inbox = friends.inboxOf(user);
  const { unread, offset: readOffset } = inbox;
  if (direction === "out") {
    const { some, next } = cut(friends.outgoingOf(user), after, max);
    const requests = some.map(({ other, round, message, atMs }) => {
      return { from: user, to: other, round, message, atMs };
    });
    return { requests, ...next, unread, readOffset };
  }
  const { some, next } = cut(inbox.requests, after, max);
  const requests = some.map(({ other, round, message, atMs, unread: isUnread }) => {
    return { from: other, to: user, round, message, atMs, unread: isUnread };
  });
  return { requests, ...next, unread, offset: formatOffset(requests), readOffset };
}

function friendsPageOf(
  { friends, presence }: Shown,
  { user, limit: max, after }: FriendsQuestion,
): FriendsPage {
  const { some, next } = cut(friends().friendsOf(user), after, max);
  return { friends: some.map(({ other }) => ({ user: other, presence: presence(other) })), ...next };
}

function unsureOf(
  { friends, unsure }: Shown,
  { user, limit: max, after }: FriendsQuestion,
): readonly Region[] {
  const { some } = cut(friends().friendsOf(user), after, max);
  return unsure(some.map(({ other }) => other));
}

/** Of a list that is sorted by the other user: what comes behind `after`. */
function cut<P extends Pick<PairWith, "other">>(
  all: readonly P[],
  after: UserId | undefined,
  max: number,
): { readonly some: readonly P[]; readonly next: { readonly next?: UserId } } {
  const rest = after === undefined ? all : all.filter(({ other }) => other > after);
  const some = rest.slice(0, max);
  const last = some.at(-1)?.other;
  return { some, next: last !== undefined && rest.length > max ? { next: last } : {} };
}

/** The question as a read that another region's node may answer: any, as they are few, and any may have what the link to one lacks. */
export function aboutRequests(
  { friends }: Shown,
  whom: readonly Region[],
  question: RequestsQuestion,
): About<Page> {
  return {
    users: [question.user],
    whom,
    question,
    here: () => pageOf(friends(), question),
    unsure: () => [],
    there: ({ answer }) => (isPage.Check(answer) ? answer : undefined),
  };
}

/** As {@link aboutRequests}; the presences are as old as their way made them. */
export function aboutFriends(
  shown: Shown,
  whom: readonly Region[],
  question: FriendsQuestion,
  clock: Clock,
): About<FriendsPage> {
  return {
    users: [question.user],
    whom,
    question,
    here: () => friendsPageOf(shown, question),
    unsure: () => unsureOf(shown, question),
    there: ({ answer }, transitMs) => {
      if (!isFriendsPage.Check(answer)) return undefined;
      const { wallMs } = clock();
      const friends = answer.friends.map(({ user, presence }) => {
        return { user, presence: aged(presence, transitMs, wallMs) };
      });
      return { ...answer, friends };
    },
  };
}

/** The answer to what another region's node asks; `undefined` for what cannot be read, or not be told here yet. */
export function answerTo(shown: Shown, question: unknown): Page | FriendsPage | undefined {
  if (isRequestsQuestion.Check(question)) return pageOf(shown.friends(), question);
  if (!isFriendsQuestion.Check(question) || unsureOf(shown, question).length > 0) return undefined;
  return friendsPageOf(shown, question);
}
