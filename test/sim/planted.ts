/**
 * The proof that the simulation bites: bugs planted into the shipped code at its seams, one at a time, for the length of a run. Rule:
 * each must be caught within the given seeds; what plants a bug takes it out again.
 */
import type { Region, UserId } from "../../replicator/core/commands.ts";
import { FoldDigest } from "../../replicator/core/digest.ts";
import { Facts, isFact } from "../../replicator/core/facts.ts";
import { Fold } from "../../replicator/core/fold.ts";
import { compareEpochs } from "../../replicator/core/homing.ts";
import { LinkMatrix } from "../../replicator/core/matrix.ts";
import { Replica } from "../../replicator/core/replica.ts";
import { claimants } from "../../replicator/core/claimants.ts";
import { viewOf } from "../../replicator/core/view.ts";
import { Leases } from "../../services/presence/leases.ts";
import { LocalSessions } from "../../services/presence/local-sessions.ts";
import { Presence } from "../../services/presence/presence.ts";
import { Retention } from "../../services/presence/retention.ts";
import { Reconcile } from "../../services/presence/reconcile.ts";
import { Waiters } from "../../services/presence/waiters.ts";
import { NO_BUGS } from "./bugs.ts";
import type { Bugs } from "./bugs.ts";
import { AREA_PLANTS } from "./planted-area.ts";
import { refold, replace, together, withCommands } from "./planting.ts";
import type { Plant } from "./planting.ts";

const EMPTY_BOOKMARK = { kind: "bookmark", offset: "", count: 0 } as const;
const nothing = (): (() => void) => () => undefined;

export const PLANTS: readonly Plant[] = [
  { name: "drop fencing", plant: nothing, bugs: { dropFencing: true } },
  { name: "ack before apply", plant: nothing, bugs: { ackBeforeApply: true } },
  {
    name: "reuse a log identity",
    plant: nothing,
    bugs: { reuseLogIdentity: true },
    also: ["log-recreated"],
  },
  {
    name: "truncate above a snapshot",
    plant: () => replace(Retention.prototype, "truncateBelow", () => (held) => held + 2),
  },
  {
    name: "a record that changed by itself is not looked for",
    also: ["memory-flip"],
    plant: () =>
      together(
        replace(FoldDigest.prototype, "isIntact", () => () => true),
        replace(FoldDigest.prototype, "compare", () => () => []),
      ),
  },
  {
    name: "a lower word takes the place of a higher",
    area: true,
    plant: () => replace(Facts.prototype, "refusal", () => () => undefined),
  },
  {
    name: "a fact that was forwarded does not count at its home",
    area: true,
    plant: () =>
      refold((_fold, frame) =>
        withCommands(frame, (command) => {
          if (command.kind !== "accept" || !isFact(command.command)) return command;
          return { ...command, command: { ...EMPTY_BOOKMARK, user: command.command.user } };
        }),
      ),
  },
  {
    name: "ignore a gap",
    plant: () =>
      refold((fold, frame, position) => {
        if (position > fold.position + 1) fold.position = position - 1;
        return frame;
      }),
  },
  {
    name: "apply a frame again",
    plant: () =>
      refold((fold, frame, position) => {
        if (position === fold.position) fold.position = position - 1;
        return frame;
      }),
  },
  {
    name: "skip processed[via]",
    plant: () =>
      refold((fold, frame) => {
        for (const command of frame.commands.toReversed()) {
          if (command.kind === "accept") fold.processed.set(command.lineage, command.after);
        }
        return frame;
      }),
  },
  {
    name: "fold reads the clock",
    plant: () => {
      let clock = 0;
      return refold((_fold, frame) =>
        withCommands(frame, (command) => {
          clock += 1;
          if (command.kind !== "open") return command;
          return { ...command, session: { ...command.session, sinceMs: clock } };
        }),
      );
    },
  },
  {
    name: "order by wall clock",
    plant: () => {
      const newest = new WeakMap<Fold, number>();
      return refold((fold, frame, position) => {
        if (position !== fold.position + 1) return frame;
        const before = newest.get(fold) ?? Number.NEGATIVE_INFINITY;
        newest.set(fold, Math.max(before, frame.committedAtMs));
        return frame.committedAtMs < before ? { ...frame, commands: [] } : frame;
      });
    },
  },
  {
    name: "drop before the sessions are forwarded",
    area: true,
    plant: () =>
      refold((fold, frame) => {
        for (const command of frame.commands) {
          const record = command.kind === "drop" ? fold.homed(command.user) : undefined;
          if (record !== undefined) record.sessions = [];
        }
        return frame;
      }),
  },
  {
    name: "lower epoch wins",
    area: true,
    plant: () =>
      together(
        replace(
          Replica.prototype,
          "view",
          () =>
            function (this: Replica, user) {
              return viewOf(lowest(this, user), this.provisional, user);
            },
        ),
        replace(
          Replica.prototype,
          "show",
          () =>
            function (this: Replica, user) {
              const view = viewOf(lowest(this, user), this.provisional, user);
              const isHidden = view === undefined || view.preferred === "invisible";
              const regions = isHidden ? [] : view.sessions.map(({ session }) => session.region);
              this.online.place(this.online.seat(user), regions, 0);
            },
        ),
        replace(
          Replica.prototype,
          "winner",
          () =>
            function (this: Replica, user) {
              return claimants(lowest(this, user), user)?.winner.region;
            },
        ),
      ),
  },
  {
    name: "the lower claim wins, in one region",
    area: true,
    plant: () =>
      replace(
        Replica.prototype,
        "winner",
        (winner) =>
          function (this: Replica, user): Region | undefined {
            const won = winner.call(this, user);
            const others = this.folds.filter((fold) => fold.region !== won && fold.homed(user) !== undefined);
            return won === "us" ? (others[0]?.region ?? won) : won;
          },
      ),
  },
  {
    name: "forget reconcile",
    plant: () =>
      together(
        replace(Reconcile.prototype, "missing", () => () => []),
        replace(Reconcile.prototype, "orphans", () => () => []),
        replace(LocalSessions.prototype, "orphaned", () => () => undefined),
      ),
  },
  {
    name: "token satisfied early",
    area: true,
    plant: () => replace(Waiters.prototype, "wait", () => () => Promise.resolve({ kind: "satisfied" })),
  },
  {
    name: "expiry from another region",
    plant: () =>
      replace(
        Presence.prototype,
        "tick",
        (tick) =>
          function (this: Presence) {
            tick.call(this);
            const lost = this.replication().links.filter(
              ({ replica, state }) =>
                replica === this.region && (state === "stalled" || state === "disconnected"),
            );
            for (const { origin } of lost) expireOne(this, origin);
          },
      ),
  },
  {
    name: "a login from elsewhere kicks nobody",
    area: true,
    plant: () =>
      refold((_fold, frame) =>
        withCommands(frame, (command) => {
          if (command.kind !== "accept" || command.command.kind !== "open") return command;
          const { session } = command.command;
          return { ...command, command: { ...command.command, session: { ...session, policy: "multi" } } };
        }),
      ),
  },
  {
    name: "the kicked is not told",
    area: true,
    plant: () =>
      replace(
        LocalSessions.prototype,
        "end",
        (end) =>
          function (this: LocalSessions, session, reason, by) {
            if (reason !== "kicked") end.call(this, session, reason, by);
          },
      ),
  },
  {
    name: "a beat renews nothing",
    plant: () => replace(Leases.prototype, "renew", () => () => undefined),
  },
  {
    name: "leases never end",
    plant: () =>
      replace(
        Leases.prototype,
        "advance",
        (advance) =>
          function (this: Leases, monoMs) {
            for (const lease of this.all()) this.renew(lease);
            return advance.call(this, monoMs);
          },
      ),
  },
  {
    name: "a stopped link is shown live",
    plant: () =>
      replace(
        LinkMatrix.prototype,
        "rows",
        (rows) =>
          function (this: LinkMatrix, now) {
            return rows.call(this, now).map((row) => ({ ...row, state: "live" as const }));
          },
      ),
  },
  {
    name: "lag reads 0",
    plant: () =>
      replace(
        LinkMatrix.prototype,
        "rows",
        (rows) =>
          function (this: LinkMatrix, now) {
            return rows.call(this, now).map((row) => ({ ...row, eventsBehind: 0 }));
          },
      ),
  },
  ...AREA_PLANTS,
];

/** Those of the design. */
const NAMED: readonly string[] = [
  "drop fencing",
  "reuse a log identity",
  "truncate above a snapshot",
  "order by wall clock",
  "ack before apply",
  "ignore a gap",
  "skip processed[via]",
  "fold reads the clock",
  "forget reconcile",
  "token satisfied early",
  "expiry from another region",
  "lower epoch wins",
];

/** The folds, but for those that know the user at a higher epoch than another does: the order of epochs the other way round. */
function lowest({ folds }: Replica, user: UserId): Fold[] {
  const epochs = folds.flatMap(({ table }) => table.get(user)?.epoch ?? []);
  return folds.filter(({ table }) => {
    const record = table.get(user);
    return record === undefined || epochs.every((epoch) => compareEpochs(record.epoch, epoch) <= 0);
  });
}

export function isNamed(name: string): boolean {
  return NAMED.includes(name);
}

export function bugsOf(plant: Plant): Bugs {
  return { ...NO_BUGS, ...plant.bugs };
}

function expireOne(presence: Presence, region: Region): void {
  const { replica } = presence.node;
  const [user] = replica.online.page(undefined, 1, (one) =>
    (replica.view(one)?.sessions ?? []).some(({ session }) => session.region === region),
  );
  if (user !== undefined) void presence.forceLogout(user);
}
