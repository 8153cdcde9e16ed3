/** The shapes of friend requests over HTTP. */
import { Type } from "typebox";

import { LIMITS } from "../../replicator/core/limits.ts";
import { PAIR_STATES } from "../../replicator/core/pair.ts";
import { ACKS } from "../presence/acknowledge.ts";
import {
  Presence,
  TokenText,
  User,
  UserPath,
  choice,
  consistency,
  count,
  dateTime,
  nullable,
  object,
  readQuery,
  ref,
} from "../presence/schemas.ts";
import { DIRECTIONS } from "./pages.ts";

const CURSOR_MAX = 128;

const Id = Type.String({ description: "Of this asking; opaque" });
const State = choice(PAIR_STATES, "What the two are to each other, as this region has it now");
const ack = {
  ack: Type.Optional(
    choice(
      ACKS,
      "peer, the default: answered when another region has copied the write too; 503 not-copied when none does in time. local: when it is in this region's log",
    ),
  ),
};
const page = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: LIMITS.friendsPageMax, description: "Default 50" }),
  ),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: CURSOR_MAX })),
};
const cursor = { cursor: Type.Optional(Type.String({ description: "Absent on the last page" })) };

export { UserPath };
export const AskFriend = object({
  from: User,
  to: User,
  message: Type.Optional(
    Type.String({
      maxLength: LIMITS.friendMessageBytesMax,
      description: `At most ${LIMITS.friendMessageBytesMax} bytes of UTF-8`,
    }),
  ),
  ...ack,
});
export const AskedFriend = object({ id: Id, state: State, token: TokenText });
export const RequestPath = object({ id: Type.String({ minLength: 1, maxLength: 3 * LIMITS.userBytesMax }) });
export const Act = nullable(
  object({
    user: Type.Optional(User),
    ...ack,
  }),
);
export const Acted = object({ state: State, token: TokenText });

export const FriendPath = object({ user: User, other: User });
export const PartQuery = object(ack);

export const RequestsQuery = object({
  direction: Type.Optional(choice(DIRECTIONS, "Default in")),
  ...page,
  ...readQuery,
});
export const Requests = object({
  requests: Type.Array(
    object({
      id: Id,
      from: User,
      to: User,
      state: choice(["requested"]),
      message: Type.String(),
      askedAt: dateTime("By the clock of the region that took it"),
      unread: Type.Optional(Type.Boolean({ description: "Only of direction=in" })),
    }),
  ),
  unread: count("Of all requests to the user, on whatever page"),
  offset: Type.Optional(
    Type.String({
      description: "What this page shows; PUT it to mark just that as read. Only of direction=in",
    }),
  ),
  readOffset: Type.String({ description: "The offset that was PUT last; empty for none" }),
  ...cursor,
  ...consistency,
});

export const MarkRead = object({
  offset: Type.String({ minLength: 1, maxLength: LIMITS.readOffsetBytesMax }),
  ...ack,
});
export const MarkedRead = object({ unread: count("Requests that are still unread"), token: TokenText });

export const FriendsQuery = object({ ...page, ...readQuery });
export const FriendsPage = object({
  friends: Type.Array(object({ user: User, presence: ref(Presence) })),
  ...cursor,
  ...consistency,
});
