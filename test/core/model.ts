/**
 * A slow, obvious model of what the logs mean, written from the design and not from the code: it keeps nothing, and answers every
 * question by reading whole logs again. It coalesces nothing, has no index and no listener. Here: what one log means by itself.
 */
import type {
  Command,
  Fact,
  Frame,
  LogId,
  Open,
  Position,
  PreferredStatus,
  Region,
  Session,
  SettingCommand,
  Update,
  UserCommand,
  UserId,
} from "../../replicator/core/commands.ts";
import type { Epoch } from "../../replicator/core/homing.ts";
import type { Stand } from "./logs.ts";
import { above, isFactual, keyIn } from "./model-facts.ts";

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
  /** The log said later what takes its place: its target may leave it out. */
  needless: boolean;
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
  /** The highest of those about one thing, by what that is. */
  readonly facts: ReadonlyMap<string, Fact>;
}

export const NOTHING: ModelState = { sessions: [], preferred: "automatic", untilMs: 0 };
const SESSIONS_MAX = 32;
/** By how much versions and ordinals go on behind each renewal. */
const RENEWAL_STEP = 4_294_967_296;

/** What a command makes of a user; `undefined` where it means nothing. */
export function changed(state: ModelState, command: UserCommand): ModelState | undefined {
  if (command.kind === "prefer") return { ...state, preferred: command.preferred, untilMs: command.untilMs };
  if (command.kind === "open") {
    const { session } = command;
    const others = state.sessions.filter((one) => one.session !== session.session && !endedBy(session, one));
    return { ...state, sessions: [...others.slice(-(SESSIONS_MAX - 1)), session] };
  }
  if (command.kind === "claim") {
    const sessions = [...state.sessions];
    for (const one of command.sessions) {
      const there = sessions.some((held) => held.session === one.session || endedBy(held, one));
      if (!there && sessions.length < SESSIONS_MAX) sessions.push(one);
    }
    const { preferred, untilMs } = state.preferred === "automatic" ? command : state;
    return { sessions, preferred, untilMs };
  }
  if (isFactual(command) || !state.sessions.some((one) => one.session === command.session)) return undefined;
  if (command.kind === "close") {
    return { ...state, sessions: state.sessions.filter((one) => one.session !== command.session) };
  }
  const { status, state: text } = command;
  const sessions = state.sessions.map((one) =>
    one.session === command.session ? { ...one, status, state: text } : one,
  );
  return { ...state, sessions };
}

/** Whether a login leaves no room for what was there: the same device, or, by its policy, the same platform or any. */
export function endedBy(login: Session, other: Session): boolean {
  if (login.device !== "" && login.device === other.device) return true;
  const everything = { multi: false, "per-platform": login.platform === other.platform, single: true };
  return everything[login.policy];
}

/** Reads a lineage from its first frame to its last: log by log, each as far as the next one goes on from it. */
export function readLog(region: Region, lineage: readonly (readonly Frame[])[]): ModelLog {
  const records = new Map<UserId, ModelRecord>();
  const forwards: ModelForward[] = [];
  const processed = new Map<LogId, number>();
  const effects: ModelEffect[] = [];
  const settings = new Map<string, string>();
  const audit: string[] = [];
  const facts = new Map<string, Fact>();
  let base = 0;

  for (const [renewals, frames] of lineage.entries()) {
    base = RENEWAL_STEP * renewals;
    for (const [index, frame] of frames.entries())
      for (const command of frame.commands) {
        read(command, base + index + 1);
        if (command.kind === "set") decide(command, base + index + 1, frame.committedAtMs);
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
    facts,
  };

  function decide(command: SettingCommand, version: number, atMs: number): void {
    const { key, by, reason } = command;
    let { value } = command;
    if (key.startsWith("succession.")) {
      // With the place from which it counts on, which stays what it was.
      if (value.startsWith("succeed")) value = `${value} since ${version}`;
      if (value.startsWith("yield"))
        value = (settings.get(key) ?? "").replace("succeed", "yield").split(",")[0] ?? "";
    }
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
      case "deputed":
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
        const { command: one } = command;
        const brought = one.kind === "claim" ? one.sessions : one.kind === "open" ? [one.session] : [];
        for (const session of brought) comeBack(command.from, { kind: "open", user: one.user, session });
        if (one.kind === "update") comeBack(command.from, one);
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
      case "stance":
      case "read":
      case "bookmark":
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
    if (isFactual(command)) {
      const held = facts.get(keyIn(command));
      if (held !== undefined && !above(command, held)) return;
      facts.set(keyIn(command), command);
      if (record === undefined)
        records.set(command.user, { ...NOTHING, epoch: { generation: 0, count: 1 }, version, movedTo: "" });
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
        if (older && isHigher(command.epoch, one.command.epoch)) one.overtaken = one.needless = true;
      } else if (forItself && one.command.kind !== "claim" && share(one.command, command))
        one.overtaken = true;
    }
    if (forItself && command.kind !== "claim") takePlace(command);
  }

  /** A command for itself stands for all that it sent about the same thing, but for closes: they count unless the session was opened again. */
  function takePlace(command: UserCommand): void {
    const about = forwards.filter(
      (one) => one.command.kind !== "claim" && !one.needless && share(one.command, command),
    );
    const needless = about.filter(
      (one, index) =>
        one.command.kind !== "close" ||
        command.kind === "open" ||
        about.slice(index).some(({ to, command: { kind } }) => to === one.to && kind === "open"),
    );
    for (const one of needless) one.needless = true;
  }

  /** What was sent there and comes back from there was processed, and what was sent before it about the same session; with an update, the updates. */
  function comeBack(from: Region, back: Open | Update): void {
    const { status, state } = back.kind === "open" ? back.session : back;
    const sent = forwards.filter(
      ({ to, command }) =>
        to === from &&
        command.kind !== "claim" &&
        (back.kind === "open" || command.kind === "update") &&
        share(command, back),
    );
    const last = sent.findLast(({ command }) => {
      if (command.kind === "update") return command.status === status && command.state === state;
      return command.kind === "open" && command.session.status === status && command.session.state === state;
    });
    if (last !== undefined) for (const one of sent.slice(0, sent.indexOf(last) + 1)) one.overtaken = true;
  }

  function send(to: Region, command: UserCommand): void {
    const last = forwards.findLast((one) => one.to === to)?.ordinal ?? 0;
    const ordinal = Math.max(last, base) + 1;
    for (const one of forwards) if (replaces(command, one.command)) one.needless = true;
    forwards.push({ from: region, to, ordinal, command, overtaken: false, needless: false });
  }
}

/** What a command is about: a claim about all that it hands over. */
function subjects(command: UserCommand): string[] {
  const { user } = command;
  if (isFactual(command)) return [];
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

/** Whether a forward of the older command, too, would change nothing. */
export function replaces(newer: UserCommand, older: UserCommand): boolean {
  if (older.kind === "claim" || newer.kind === "claim" || !share(older, newer)) return false;
  if (older.kind === "update" || older.kind === "prefer") return true;
  if (older.kind !== "open") return false;
  if (newer.kind === "open") return newer.session.device === older.session.device;
  return newer.kind === "close" && older.session.device === "" && older.session.policy === "multi";
}

export function isHigher(a: Epoch, b: Epoch): boolean {
  return a.generation > b.generation || (a.generation === b.generation && a.count > b.count);
}

/** Whether a replica that has folded `have` of a log has the frame at `wanted`, asked position by position. */
export function modelHas(have: Stand, wanted: Stand): boolean {
  for (let one = 1; one <= wanted.position; one++)
    if (have.logId !== wanted.logId || have.position < one) return false;
  return true;
}
