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
  UserCommand,
  UserId,
} from "../../replicator/core/commands.ts";
import type { Epoch } from "../../replicator/core/homing.ts";
import { rank } from "../../replicator/core/homing.ts";

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
}

/** An accept that took effect. */
export interface ModelEffect {
  readonly logId: LogId;
  readonly after: number;
  readonly at: number;
  readonly command: UserCommand;
}

export interface ModelLog {
  readonly region: Region;
  readonly logId: LogId;
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

/** Reads a log from its first frame to its last. */
export function readLog(region: Region, frames: readonly Frame[]): ModelLog {
  const records = new Map<UserId, ModelRecord>();
  const forwards: ModelForward[] = [];
  const processed = new Map<LogId, number>();
  const effects: ModelEffect[] = [];

  for (const [index, { commands }] of frames.entries())
    for (const command of commands) read(command, index + 1);
  return { region, logId: frames[0]?.logId ?? "", records, forwards, processed, effects };

  function read(command: Command, position: Position): void {
    switch (command.kind) {
      case "watermark":
        return;
      case "forward":
        if (command.to !== region) send(command.to, command.command);
        return;
      case "accept": {
        const done = processed.get(command.logId) ?? 0;
        if (command.from === region || done < command.after || done >= command.at) return;
        processed.set(command.logId, command.at);
        effects.push({
          logId: command.logId,
          after: command.after,
          at: command.at,
          command: command.command,
        });
        tell(command.command, position);
        return;
      }
      case "drop": {
        const record = records.get(command.user);
        if (record === undefined || record.movedTo !== "" || command.to === region) return;
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
      case "open":
      case "update":
      case "close":
      case "prefer":
        tell(command, position);
    }
  }

  function tell(command: UserCommand, version: Position): void {
    const record = records.get(command.user);
    if (record !== undefined && record.movedTo !== "") {
      send(record.movedTo, command);
      return;
    }
    if (record === undefined && command.kind !== "open" && command.kind !== "prefer") return;
    const after = changed(record ?? NOTHING, command);
    const epoch = record?.epoch ?? { generation: 0, count: 1 };
    if (after !== undefined) records.set(command.user, { ...after, epoch, version, movedTo: "" });
  }

  function send(to: Region, command: UserCommand): void {
    const ordinal = forwards.filter((one) => one.to === to).length + 1;
    forwards.push({ from: region, to, ordinal, command });
  }
}

/** Every forward that its target has not processed, by log. */
export function pendingOf(logs: readonly ModelLog[]): ModelForward[] {
  return logs.flatMap(({ logId, forwards }) =>
    forwards.filter(({ to, ordinal }) => {
      const target = logs.find((log) => log.region === to);
      return ordinal > (target?.processed.get(logId) ?? 0);
    }),
  );
}

/**
 * What is overlaid on the user's record, in order. Of each log, in the log's order: the pending forwards, and of the processed those
 * that are newer than a pending one about the same thing (which went elsewhere); a pending one that such a newer one repeats or undoes
 * is void. What has a longer way comes later: a forward to a region that gave the user up arrives behind what that region has forwarded
 * already, and no forward of a log overtakes an older one about the same thing.
 */
export function overlayOf(logs: readonly ModelLog[], user: UserId): ModelForward[] {
  const pending = new Set(pendingOf(logs));
  const byName = logs.toSorted((a, b) => (a.region < b.region ? -1 : 1));
  const all = byName.flatMap(({ forwards }) => {
    const about = forwards.filter(({ command }) => command.user === user);
    const waiting = about.filter(
      (one, index) => pending.has(one) && !about.slice(index).some((newer) => voids(newer, one)),
    );
    return about.filter(
      (one, index) =>
        waiting.includes(one) ||
        (!pending.has(one) &&
          about
            .slice(0, index)
            .some((older) => waiting.includes(older) && subject(older.command) === subject(one.command))),
    );
  });
  return [0, 1, 2].flatMap((way) => all.filter((one) => longestWay(one) === way));

  function longestWay(one: ModelForward): number {
    const olderOnes = all.slice(0, all.indexOf(one)).filter(({ from }) => from === one.from);
    const alike = olderOnes.filter(({ command }) => subject(command) === subject(one.command));
    return Math.max(...[...alike, one].map(({ to }) => steps(to)));
  }

  function voids(by: ModelForward, { command: older }: ModelForward): boolean {
    const { command: newer } = by;
    if (pending.has(by)) return false;
    if (subject(newer) !== subject(older)) return false;
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

  function movedTo(region: Region): Region {
    return logs.find((log) => log.region === region)?.records.get(user)?.movedTo ?? "";
  }
}

/** What a command is about. */
export function subject(command: UserCommand): string {
  if (command.kind === "prefer") return `preference of ${command.user}`;
  return `${command.user} ${command.kind === "open" ? command.session.session : command.session}`;
}

/** The claims to a user, the winner first: highest epoch, then highest rank, then greatest name. */
export function claimsTo(logs: readonly ModelLog[], user: UserId): { region: Region; record: ModelRecord }[] {
  const claims = logs.flatMap(({ region, records }) => {
    const record = records.get(user);
    return record === undefined || record.movedTo !== "" ? [] : [{ region, record }];
  });
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
  return { user, home, version: winner?.record.version ?? 0, ...state };
}

/** Whether a replica that has folded `vector` has all of `token`, asked position by position. */
export function modelHas(
  vector: ReadonlyMap<Region, Position>,
  token: ReadonlyMap<Region, Position>,
): boolean {
  for (const [region, position] of token) {
    for (let one = 1; one <= position; one++) if ((vector.get(region) ?? 0) < one) return false;
  }
  return true;
}
