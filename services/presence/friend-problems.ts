/** What a friend request can be refused for, beside what any request can be: rows of the table of problems. */
export const FRIEND_PROBLEMS = {
  "malformed-request-id": {
    status: 400,
    title: "Not the id of a friend request",
    advice: "Send back exactly what a friend request was answered with, or listed with, as `id`.",
  },
  "malformed-read-offset": {
    status: 400,
    title: "Not an offset of an inbox",
    advice: "Send back exactly what GET /v1/users/{user}/friend-requests gave as `offset`.",
  },
  "unknown-friend-request": {
    status: 404,
    title: "No such friend request here",
    advice:
      "It may still be on its way: send the token of the request in the header `Rollcall-Token`, or retry after the given delay.",
  },
  "token-not-met": {
    status: 503,
    title: "What the token speaks of is not here yet",
    advice:
      "Nothing was decided or written. `missing` counts what has not arrived; retry with the token after the given delay. No node of the region need have it sooner while a link is down.",
  },
  "wrong-user": {
    status: 403,
    title: "That is for the other of the two to do",
    advice: "The recipient accepts and declines, the sender cancels; `user` names who may.",
  },
  "friend-request-state": {
    status: 409,
    title: "The friend request is not in a state that allows it",
    advice: "`state` is what it is in. Nothing was written; read the list again.",
  },
  "too-many-pending": {
    status: 409,
    title: "Too many friend requests wait for an answer",
    advice: "`whose` names the user and `max` the bound: requests must be answered or cancelled first.",
  },
  "too-many-friends": {
    status: 409,
    title: "Too many others have asked the user, or been asked",
    advice: "`whose` names the user. Nothing was written; those who asked before may ask again.",
  },
  "too-many-friend-requests": {
    status: 429,
    title: "Too many friend requests in a short time",
    advice: "Nothing was written. Retry after the given delay.",
  },
} as const;
