/**
 * Planted bugs of homes, login policies, evacuation, tokens and friends: a comparison the wrong way, a case forgotten. Rule: as of
 * `planted.ts`, where they are added to the others.
 */
import type { Command, Open, UserCommand } from "../../replicator/core/commands.ts";
import { Evacuations } from "../../replicator/core/evacuation.ts";
import { Friends } from "../../replicator/core/friends.ts";
import { LinkMatrix } from "../../replicator/core/matrix.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { Heads } from "../../services/presence/consistency.ts";
import { HeadAsker } from "../../services/presence/heads.ts";
import { Healing } from "../../services/presence/healing.ts";
import { LocalSessions } from "../../services/presence/local-sessions.ts";
import { Waiters } from "../../services/presence/waiters.ts";
import { refold, replace, together, withCommands } from "./planting.ts";
import type { Plant } from "./planting.ts";

/** A command about a user, on whichever way it is. */
function everywhere(change: (command: UserCommand) => UserCommand): (command: Command) => Command {
  return (command) => {
    const { kind } = command;
    if (kind === "open" || kind === "claim") return change(command);
    return kind === "forward" || kind === "accept"
      ? { ...command, command: change(command.command) }
      : command;
  };
}

function reopen(change: (session: Open["session"]) => Open["session"]): () => () => void {
  const changed = everywhere((command) =>
    command.kind === "open" ? { ...command, session: change(command.session) } : command,
  );
  return () => refold((_fold, frame) => withCommands(frame, changed));
}

/** Tokens are waited for as if they were others. */
function mistake(change: (token: Token) => Token): () => () => void {
  return () =>
    replace(
      Waiters.prototype,
      "wait",
      (wait) =>
        function (this: Waiters, token, waitMs) {
          return wait.call(this, change(token), waitMs);
        },
    );
}

const ASKS_SHARED = 4;
/** Events in which a region is lost, its sessions are closed, and it is back, often enough. */
const LOST_AND_BACK = 6_000;

const PLANTS: readonly Omit<Plant, "area">[] = [
  {
    name: "a token is satisfied one position early",
    plant: mistake(
      (token) =>
        new Map(
          [...token].map(([region, at]) => [region, { ...at, position: Math.max(0, at.position - 1) }]),
        ),
    ),
  },
  {
    name: "of a token of several logs the first alone counts",
    plant: mistake((token) => new Map([...token].slice(0, 1))),
  },
  {
    name: "the heads of an earlier ask are taken for the latest",
    plant: () => {
      const known = new WeakMap<HeadAsker, { readonly heads: Heads; left: number }>();
      return replace(
        HeadAsker.prototype,
        "ask",
        (ask) =>
          async function (this: HeadAsker, waitMs) {
            const before = known.get(this);
            if (before !== undefined && before.left > 0) {
              before.left -= 1;
              return before.heads;
            }
            const heads = await ask.call(this, waitMs);
            known.set(this, { heads, left: ASKS_SHARED });
            return heads;
          },
      );
    },
  },
  {
    name: "a region that does not answer has nothing newer",
    plant: () =>
      replace(
        HeadAsker.prototype,
        "ask",
        (ask) =>
          async function (this: HeadAsker, waitMs) {
            return { ...(await ask.call(this, waitMs)), unheard: [] };
          },
      ),
  },
  {
    name: "a bounded read trusts the clock's estimate",
    plant: () =>
      replace(
        LinkMatrix.prototype,
        "watermarkAgeMaxMs",
        () =>
          function (this: LinkMatrix, region, now) {
            return this.watermarkAgeMs(region, now);
          },
      ),
  },
  {
    name: "a single login spares other platforms",
    plant: reopen((session) =>
      session.policy === "single" ? { ...session, policy: "per-platform" } : session,
    ),
  },
  {
    name: "a login of one platform ends those of the others",
    plant: reopen((session) =>
      session.policy === "per-platform" ? { ...session, policy: "single" } : session,
    ),
  },
  {
    name: "who moves leaves the newest session behind",
    plant: () => {
      const changed = everywhere((command) =>
        command.kind === "claim" ? { ...command, sessions: command.sessions.slice(0, -1) } : command,
      );
      return refold((_fold, frame) => withCommands(frame, changed));
    },
  },
  {
    name: "a move does not raise the epoch",
    plant: () => {
      const changed = everywhere((command) => {
        if (command.kind !== "claim") return command;
        const { generation, count } = command.epoch;
        return { ...command, epoch: { generation, count: count - 1 } };
      });
      return refold((_fold, frame) => withCommands(frame, changed));
    },
  },
  {
    name: "an evacuation moves nobody",
    plant: () =>
      replace(
        Evacuations.prototype,
        "due",
        (due) =>
          function (this: Evacuations, now) {
            return due.call(this, now).filter(({ kind }) => kind !== "release");
          },
      ),
  },
  {
    name: "a restored region is at home before its users are",
    shownBy: 49,
    plant: () =>
      replace(
        Evacuations.prototype,
        "due",
        (due) =>
          function (this: Evacuations, now) {
            return due
              .call(this, now)
              .flatMap((command) =>
                command.kind === "set" && command.value.startsWith("from ")
                  ? [command, { ...command, value: "home" }]
                  : [command],
              );
          },
      ),
  },
  {
    name: "a region that is back is heard before its sessions are open again",
    also: ["region-lost"],
    eventsMin: LOST_AND_BACK,
    shownBy: 49,
    plant: () =>
      together(
        replace(Healing.prototype, "isSilent", () => () => false),
        replace(Healing.prototype, "hurry", () => () => undefined),
      ),
  },
  {
    name: "a region is sure of itself while another stands for it",
    also: ["region-lost"],
    eventsMin: LOST_AND_BACK,
    shownBy: 49,
    plant: () =>
      together(
        replace(Healing.prototype, "ageMs", () => () => 0),
        replace(LocalSessions.prototype, "missing", () => () => undefined),
      ),
  },
  {
    name: "a fact on its way counts only at its home",
    plant: () =>
      together(
        replace(Friends.prototype, "sent", () => () => undefined),
        replace(Friends.prototype, "arrived", () => () => undefined),
      ),
  },
  {
    name: "who asked anew is shown as in the round before",
    plant: () =>
      replace(
        Friends.prototype,
        "stanceOf",
        (stanceOf) =>
          function (this: Friends, user, other) {
            const stance = stanceOf.call(this, user, other);
            const answered = stanceOf.call(this, other, user);
            return stance !== undefined && answered !== undefined && stance.round > answered.round
              ? { ...stance, round: answered.round }
              : stance;
          },
      ),
  },
];

export const AREA_PLANTS: readonly Plant[] = PLANTS.map((plant) => ({ ...plant, area: true }));
