/** The slow model of what several logs mean together: what is pending, who wins a user, what a replica that has folded them shows. */
import type { Position, Region, Session, UserId } from "../../replicator/core/commands.ts";
import { rank } from "../../replicator/core/homing.ts";
import type { Epoch } from "../../replicator/core/homing.ts";
import { isFactual } from "./model-facts.ts";
import { NOTHING, changed, isHigher, replaces, share } from "./model.ts";
import type { ModelForward, ModelLog, ModelRecord, ModelState } from "./model.ts";

export interface ModelView extends ModelState {
  readonly user: UserId;
  /** Undefined while no log claims the user and forwards to several regions are pending. */
  readonly home: Region | undefined;
  readonly version: Position;
}

/** Every forward that its target has not processed as far as is known, by log. */
export function pendingOf(logs: readonly ModelLog[]): ModelForward[] {
  return logs.flatMap(({ lineage, forwards }) =>
    forwards.filter(({ to, ordinal, overtaken }) => {
      const target = logs.find((log) => log.region === to);
      return !overtaken && ordinal > (target?.processed.get(lineage) ?? 0);
    }),
  );
}

/**
 * What is overlaid on the user's record, in order. Of each log, in the log's order: the pending forwards, and of the processed those
 * that are newer than a pending one about the same thing (which went elsewhere); a pending one that such a newer one repeats or undoes
 * is void. What its own log has overtaken with a command for itself counts no more. What others carry along of a session comes before what its
 * own region says, and ends come last; a log that holds the user carries nothing while another log is known to have sent more than is read of it, but for what
 * the one that gave the user had not processed when it did. Besides, what has a longer way comes later: a forward to a region that gave the user up arrives behind what that region has forwarded
 * already, and no forward of a log overtakes an older one about the same thing.
 */
export function overlayOf(logs: readonly ModelLog[], user: UserId): ModelForward[] {
  const pending = new Set(pendingOf(logs));
  const byName = logs.toSorted((a, b) => (a.region < b.region ? -1 : 1));
  const commands = logs.flatMap(({ forwards }) => forwards.map(({ command }) => command));
  const sessions = [
    ...logs.flatMap(({ records }) => records.get(user)?.sessions ?? []),
    ...commands.flatMap((command) => {
      if (command.kind === "open") return [command.session];
      return command.kind === "claim" ? command.sessions : [];
    }),
  ];
  const holders = logs.filter(({ records }) => records.get(user)?.movedTo === "").map(({ region }) => region);
  const counting = byName.flatMap(({ forwards }) => {
    const about = forwards.filter(
      ({ command, overtaken }) => command.user === user && !overtaken && !isFactual(command),
    );
    const waiting = about.filter(
      (one, index) =>
        pending.has(one) &&
        !about.slice(index).some((newer) => !pending.has(newer) && replaces(newer.command, one.command)),
    );
    return about.filter(
      (one, index) =>
        waiting.includes(one) ||
        (!pending.has(one) &&
          about
            .slice(0, index)
            .some((older) => waiting.includes(older) && share(older.command, one.command))),
    );
  });
  const all = counting.filter(
    (one) =>
      !isCarried(one) ||
      !holders.includes(one.from) ||
      !isUnread(logs, pending.has(one) ? one.to : undefined, one.from) ||
      isAfterGiving(one),
  );
  const turns = [isCarried, isWord, isEnd];
  return turns.flatMap((_, turn) =>
    [0, 1, 2].flatMap((way) => all.filter((one) => lastTurn(one) === turn && longestWay(one) === way)),
  );

  function lastTurn(one: ModelForward): number {
    const group = one.command.kind === "claim" ? [one] : [...alikeBefore(one), one];
    return Math.max(...group.map((each) => turns.findIndex((is) => is(each))));
  }

  function alikeBefore(one: ModelForward): ModelForward[] {
    const olderOnes = all.slice(0, all.indexOf(one)).filter(({ from }) => from === one.from);
    return olderOnes.filter(({ command }) => share(command, one.command));
  }

  function isWord(one: ModelForward): boolean {
    return !isEnd(one) && !isCarried(one);
  }

  /** A record's sessions, or another region's opening or update of its session. */
  function isCarried({ from, command }: ModelForward): boolean {
    if (command.kind === "claim") return true;
    if (command.kind !== "open" && command.kind !== "update") return false;
    const id = command.kind === "open" ? command.session.session : command.session;
    const region = sessions.find(({ session }) => session === id)?.region;
    return region !== undefined && region !== from;
  }

  /** Its target gave the user, as the record of its own log has them, and had not processed it then: nor has it as far as it is read. */
  function isAfterGiving(one: ModelForward): boolean {
    const [record, given] = [one.from, one.to].map((at) =>
      logs.find(({ region }) => region === at)?.records.get(user),
    );
    if (record === undefined || given?.movedTo !== one.from || !pending.has(one)) return false;
    const { generation, count } = given.epoch;
    return record.epoch.generation === generation && record.epoch.count === count + 1;
  }

  function longestWay(one: ModelForward): number {
    return Math.max(...[...alikeBefore(one), one].map(({ to }) => steps(to)));
  }

  /** How often what is sent to a region is sent on; three regions pass a user on twice at most. */
  function steps(region: Region): number {
    const to = movedTo(region);
    if (to === "") return 0;
    return movedTo(to) === "" ? 1 : 2;
  }

  /** Where the region sends what is about the user; nowhere, if a higher claim is coming to it. */
  function movedTo(region: Region): Region {
    const record = logs.find((log) => log.region === region)?.records.get(user);
    if (record === undefined) return "";
    const comes = all.some(
      ({ to, command }) => to === region && command.kind === "claim" && isHigher(command.epoch, record.epoch),
    );
    return comes ? "" : record.movedTo;
  }
}

function isEnd({ command }: ModelForward): boolean {
  return command.kind === "close";
}

/** The claims to a user, but for those below the epoch of a record that was given up since; the winner first: highest epoch, then highest rank, then greatest name. */
export function claimsTo(logs: readonly ModelLog[], user: UserId): { region: Region; record: ModelRecord }[] {
  const known = logs.flatMap(({ region, records }) => {
    const record = records.get(user);
    return record === undefined ? [] : [{ region, record }];
  });
  const isOutdated = (one: Epoch): boolean =>
    known.some(({ record }) => record.movedTo !== "" && isHigher(record.epoch, one));
  const claims = known.filter(({ record }) => record.movedTo === "" && !isOutdated(record.epoch));
  return claims.toSorted(
    (a, b) =>
      b.record.epoch.generation - a.record.epoch.generation ||
      b.record.epoch.count - a.record.epoch.count ||
      rank(user, b.region) - rank(user, a.region) ||
      (a.region < b.region ? 1 : -1),
  );
}

/** The union of the records of the highest epoch, and of lower ones where nothing is unread but of the winner's log, their own and those that gave the user there; then every pending forward. */
export function modelView(logs: readonly ModelLog[], user: UserId): ModelView | undefined {
  const claims = claimsTo(logs, user);
  const overlay = overlayOf(logs, user);
  const [winner] = claims;
  if (winner === undefined && overlay.length === 0) return undefined;
  let state: ModelState = winner?.record ?? NOTHING;
  const sessions = [...state.sessions];
  let { preferred, untilMs } = state;
  const losers = logs.flatMap(({ region, records }) => {
    const record = records.get(user);
    const isPast = record?.epoch.generation !== winner?.record.epoch.generation;
    return record === undefined || record.movedTo !== "" || region === winner?.region || isPast
      ? []
      : [{ region, record, isLower: winner !== undefined && isHigher(winner.record.epoch, record.epoch) }];
  });
  const order = losers.toSorted(
    (a, b) => Number(a.isLower) - Number(b.isLower) || (a.region < b.region ? -1 : 1),
  );
  // Whose giving, read already, made the winner's record: what they had is known, and what they got since they sent on to the winner.
  const givers = logs.flatMap(({ region, records }) => {
    const given = records.get(user);
    if (given === undefined || winner === undefined || given.movedTo !== winner.region) return [];
    const { generation, count } = winner.record.epoch;
    return given.epoch.generation === generation && given.epoch.count + 1 === count ? [region] : [];
  });
  for (const { region, record, isLower } of order) {
    if (winner === undefined || (isLower && isUnread(logs, region, winner.region, region, ...givers)))
      continue;
    if (!isLower && record.preferred !== "automatic") ({ preferred, untilMs } = record);
    for (const one of record.sessions)
      if (
        !sessions.some((held) => held.session === one.session) &&
        ![region, ...givers].some((from) => isGone(logs, from, user, one))
      )
        sessions.push(one);
  }
  state = { sessions, preferred, untilMs };
  for (const { command } of overlay) state = changed(state, command) ?? state;
  const targets = new Set(overlay.map(({ to }) => to));
  const home = winner?.region ?? (targets.size === 1 ? [...targets][0] : undefined);
  const base = logs.find(({ region }) => region === winner?.region)?.base ?? 0;
  return { user, home, version: Math.max(winner?.record.version ?? 0, base), ...state };
}

/** Some log but these was processed further than it was read, by another than the first. */
function isUnread(logs: readonly ModelLog[], start: Region | undefined, ...but: readonly Region[]): boolean {
  const read = logs.flatMap(({ region, lineage, forwards }) =>
    forwards.map(({ to, ordinal }) => ({ region, lineage, to, ordinal })),
  );
  const known = logs.filter(({ region }) => but.includes(region)).map(({ lineage }) => lineage);
  return logs.some(({ region, processed }) =>
    [...processed].some(([lineage, done]) => {
      if (region === start || known.includes(lineage)) return false;
      return !read.some((one) => one.lineage === lineage && one.to === region && one.ordinal >= done);
    }),
  );
}

/** Some log has accepted the session from that region's, in a claim or as one that is not of the region, and of that forward nothing is known yet. */
function isGone(
  logs: readonly ModelLog[],
  from: Region,
  user: UserId,
  { session, region }: Session,
): boolean {
  const sender = logs.find((log) => log.region === from);
  if (sender === undefined) return false;
  return logs.some(({ region: to, effects }) => {
    const sent = sender.forwards.filter((one) => one.to === to).at(-1)?.ordinal ?? 0;
    return effects.some(({ lineage, at, command }) => {
      if (lineage !== sender.lineage || at <= sent || command.user !== user) return false;
      if (command.kind === "claim") return command.sessions.some((one) => one.session === session);
      return command.kind === "open" && command.session.session === session && region !== from;
    });
  });
}
