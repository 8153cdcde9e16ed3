/**
 * A slow, obvious model of what the logs mean, written from the design and not from the code: it keeps nothing, and answers every
 * question by reading whole logs again. It coalesces nothing, has no index and no listener.
 */
import type {
  Command,
  Frame,
  LogId,
  Position,
  PreferredStatus,
  Region,
  Session,
  SettingCommand,
  UserCommand,
  UserId,
} from "../../replicator/core/commands.ts";
import type { Epoch } from "../../replicator/core/homing.ts";
import { rank } from "../../replicator/core/homing.ts";
import type { Stand } from "./logs.ts";

export interface ModelState {
  readonly sessions: readonly Session[];
  readonly preferred: PreferredStatus;
  readonly untilMs: number;
}

export interface ModelRecord extends ModelState {
  readonly epoch: Epoch;
  readonly version: Position;
  readonly movedTo: Region;
}

export interface ModelForward {
  readonly from: Region;
  readonly to: Region;
  readonly ordinal: number;
  readonly command: UserCommand;
  /** The log applied a later command about the same thing for itself. */
  overtaken: boolean;
}

/** An accept that took effect. */
export interface ModelEffect {
  readonly lineage: LogId;
  readonly after: number;
  readonly at: number;
  readonly command: UserCommand;
}

export interface ModelLog {
  readonly region: Region;
  /** Identity of its newest frames, and of its first. */
  readonly logId: LogId;
  readonly lineage: LogId;
  readonly settings: ReadonlyMap<string, string>;
  readonly audit: readonly string[];
  /** What its renewals have added to versions and ordinals. */
  readonly base: number;
  readonly records: ReadonlyMap<UserId, ModelRecord>;
  readonly forwards: readonly ModelForward[];
  readonly processed: ReadonlyMap<LogId, number>;
  readonly effects: readonly ModelEffect[];
}

export interface ModelView extends ModelState {
  readonly user: UserId;
  /** Undefined while no log claims the user and forwards to several regions are pending. */
  readonly home: Region | undefined;
  readonly version: Position;
}

const NOTHING: ModelState = { sessions: [], preferred: "automatic", untilMs: 0 };
const SESSIONS_MAX = 32;
/** By how much versions and ordinals go on behind each renewal. */
const RENEWAL_STEP = 4_294_967_296;

/** What a command makes of a user; `undefined` where it means nothing. */
function changed(state: ModelState, command: UserCommand): ModelState | undefined {
  if (command.kind === "prefer") return { ...state, preferred: command.preferred, untilMs: command.untilMs };
  if (command.kind === "open") {
    const { session } = command;
    const others = state.sessions.filter(
      (one) => one.session !== session.session && (session.device === "" || one.device !== session.device),
    );
    return { ...state, sessions: [...others.slice(-(SESSIONS_MAX - 1)), session] };
  }
  if (command.kind === "claim") {
    const sessions = [...state.sessions];
    for (const one of command.sessions) {
      const there = sessions.some(
        (held) => held.session === one.session || (one.device !== "" && held.device === one.device),
      );
      if (!there && sessions.length < SESSIONS_MAX) sessions.push(one);
    }
    const { preferred, untilMs } = state.preferred === "automatic" ? command : state;
    return { sessions, preferred, untilMs };
  }
  if (!state.sessions.some((one) => one.session === command.session)) return undefined;
  if (command.kind === "close") {
    return { ...state, sessions: state.sessions.filter((one) => one.session !== command.session) };
  }
  const { status, state: text } = command;
  const sessions = state.sessions.map((one) =>
    one.session === command.session ? { ...one, status, state: text } : one,
  );
  return { ...state, sessions };
}

/** Reads a lineage from its first frame to its last: log by log, each as far as the next one goes on from it. */
export function readLog(region: Region, lineage: readonly (readonly Frame[])[]): ModelLog {
  const records = new Map<UserId, ModelRecord>();
  const forwards: ModelForward[] = [];
  const processed = new Map<LogId, number>();
  const effects: ModelEffect[] = [];
  const settings = new Map<string, string>();
  const audit: string[] = [];
  let base = 0;

  for (const [renewals, frames] of lineage.entries()) {
    base = RENEWAL_STEP * renewals;
    for (const [index, frame] of frames.entries())
      for (const command of frame.commands) {
        read(command, base + index + 1);
        if (command.kind === "set") decide(command, frame.committedAtMs);
      }
  }
  return {
    region,
    logId: lineage.at(-1)?.[0]?.logId ?? "",
    lineage: lineage[0]?.[0]?.logId ?? "",
    base,
    settings,
    audit,
    records,
    forwards,
    processed,
    effects,
  };

  function decide({ key, value, by, reason }: SettingCommand, atMs: number): void {
    settings.set(key, [value, by, reason, atMs].join());
    audit.push([key, value, by, reason, atMs].join());
  }

  function read(command: Command, position: Position): void {
    switch (command.kind) {
      case "watermark":
      case "renewed":
      case "mark":
      case "digest":
      case "set":
        return;
      case "forward":
        if (command.to !== region) send(command.to, command.command);
        return;
      case "accept": {
        const done = processed.get(command.lineage) ?? 0;
        if (command.from === region || done < command.after || done >= command.at) return;
        processed.set(command.lineage, command.at);
        effects.push({
          lineage: command.lineage,
          after: command.after,
          at: command.at,
          command: command.command,
        });
        tell(command.command, position, false);
        return;
      }
      case "drop": {
        const record = records.get(command.user);
        if (record === undefined || record.movedTo !== "" || command.to === region) return;
        if (isHigher(record.epoch, { generation: 0, count: 1 }))
          return read({ ...command, kind: "release" }, position);
        for (const session of record.sessions)
          send(command.to, { kind: "open", user: command.user, session });
        if (record.preferred !== "automatic") {
          send(command.to, {
            kind: "prefer",
            user: command.user,
            preferred: record.preferred,
            untilMs: record.untilMs,
          });
        }
        records.set(command.user, {
          ...NOTHING,
          epoch: record.epoch,
          version: position,
          movedTo: command.to,
        });
        return;
      }
      case "release": {
        const record = records.get(command.user);
        if (record === undefined || record.movedTo !== "" || command.to === region) return;
        const { sessions, preferred, untilMs } = record;
        const epoch = { ...record.epoch, count: record.epoch.count + 1 };
        send(command.to, { kind: "claim", user: command.user, epoch, sessions, preferred, untilMs });
        records.set(command.user, {
          ...NOTHING,
          epoch: record.epoch,
          version: position,
          movedTo: command.to,
        });
        return;
      }
      case "open":
      case "update":
      case "close":
      case "prefer":
      case "claim":
        tell(command, position, true);
    }
  }

  function tell(command: UserCommand, version: Position, forItself: boolean): void {
    const record = records.get(command.user);
    const raises =
      command.kind === "claim" && (record === undefined || isHigher(command.epoch, record.epoch));
    if (record !== undefined && record.movedTo !== "" && !raises) {
      send(record.movedTo, command);
      return;
    }
    if (command.kind === "claim" && !raises) return;
    if (record === undefined && (command.kind === "update" || command.kind === "close")) return;
    const after = changed(record ?? NOTHING, command);
    const epoch = command.kind === "claim" ? command.epoch : (record?.epoch ?? { generation: 0, count: 1 });
    if (after === undefined) return;
    records.set(command.user, { ...after, epoch, version, movedTo: "" });
    for (const one of forwards) {
      if (command.kind === "claim") {
        const older = one.command.kind === "claim" && one.command.user === command.user;
        if (older && isHigher(command.epoch, one.command.epoch)) one.overtaken = true;
      } else if (forItself && one.command.kind !== "claim" && share(one.command, command))
        one.overtaken = true;
    }
  }

  function send(to: Region, command: UserCommand): void {
    const last = forwards.findLast((one) => one.to === to)?.ordinal ?? 0;
    const ordinal = Math.max(last, base) + 1;
    forwards.push({ from: region, to, ordinal, command, overtaken: false });
  }
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
 * own region says, and ends come last; a log that holds the user carries nothing. Besides, what has a longer way comes later: a forward to a region that gave the user up arrives behind what that region has forwarded
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
    const about = forwards.filter(({ command, overtaken }) => command.user === user && !overtaken);
    const waiting = about.filter(
      (one, index) => pending.has(one) && !about.slice(index).some((newer) => voids(newer, one)),
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
  const all = counting.filter((one) => !isCarried(one) || !holders.includes(one.from));
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

  function isEnd({ command }: ModelForward): boolean {
    return command.kind === "close";
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

  function longestWay(one: ModelForward): number {
    return Math.max(...[...alikeBefore(one), one].map(({ to }) => steps(to)));
  }

  function voids(by: ModelForward, { command: older }: ModelForward): boolean {
    const { command: newer } = by;
    if (pending.has(by)) return false;
    if (older.kind === "claim" || newer.kind === "claim" || !share(older, newer)) return false;
    if (older.kind === "update" || older.kind === "prefer") return true;
    if (older.kind === "close") return false;
    return newer.kind === "open" || (newer.kind === "close" && older.session.device === "");
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

/** What a command is about: a claim about all that it hands over. */
function subjects(command: UserCommand): string[] {
  const { user } = command;
  if (command.kind === "prefer") return [`preference of ${user}`];
  if (command.kind === "open") return [`${user} ${command.session.session}`];
  if (command.kind !== "claim") return [`${user} ${command.session}`];
  const sessions = command.sessions.map(({ session }) => `${user} ${session}`);
  return [
    `claim of ${user}`,
    ...sessions,
    ...(command.preferred === "automatic" ? [] : [`preference of ${user}`]),
  ];
}

/** Whether two commands are about something in common. */
export function share(a: UserCommand, b: UserCommand): boolean {
  return subjects(a).some((one) => subjects(b).includes(one));
}

function isHigher(a: Epoch, b: Epoch): boolean {
  return a.generation > b.generation || (a.generation === b.generation && a.count > b.count);
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

/** The union of the records of the highest epoch, then every pending forward. */
export function modelView(logs: readonly ModelLog[], user: UserId): ModelView | undefined {
  const claims = claimsTo(logs, user);
  const overlay = overlayOf(logs, user);
  const [winner] = claims;
  if (winner === undefined && overlay.length === 0) return undefined;
  let state: ModelState = winner?.record ?? NOTHING;
  const sessions = [...state.sessions];
  let { preferred, untilMs } = state;
  const losers = claims.slice(1).toSorted((a, b) => (a.region < b.region ? -1 : 1));
  for (const { record } of losers) {
    const { epoch } = record;
    if (epoch.generation !== winner?.record.epoch.generation || epoch.count !== winner.record.epoch.count)
      continue;
    if (record.preferred !== "automatic") ({ preferred, untilMs } = record);
    for (const one of record.sessions)
      if (!sessions.some((held) => held.session === one.session)) sessions.push(one);
  }
  state = { sessions, preferred, untilMs };
  for (const { command } of overlay) state = changed(state, command) ?? state;
  const targets = new Set(overlay.map(({ to }) => to));
  const home = winner?.region ?? (targets.size === 1 ? [...targets][0] : undefined);
  const base = logs.find(({ region }) => region === winner?.region)?.base ?? 0;
  return { user, home, version: Math.max(winner?.record.version ?? 0, base), ...state };
}

/** Whether a replica that has folded `have` of a log has the frame at `wanted`, asked position by position. */
export function modelHas(have: Stand, wanted: Stand): boolean {
  for (let one = 1; one <= wanted.position; one++)
    if (have.logId !== wanted.logId || have.position < one) return false;
  return true;
}

/** Everybody of whom the frames speak. */
export function usersOf(frames: readonly Frame[]): Set<UserId> {
  const users = new Set<UserId>();
  for (const command of frames.flatMap(({ commands }) => commands)) {
    if ("user" in command) users.add(command.user);
    if ("command" in command) users.add(command.command.user);
  }
  return users;
}
