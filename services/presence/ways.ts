/**
 * Where the commands went that this node has sent to its log and not folded yet. Rule: what is said of a session, or of a user's
 * preference, goes the way of what was said of it last, so that it does not overtake that (decisions/0008); a new session or a first
 * preference goes the way of the user's newest open, which may have claimed the user, and so do facts, which have no order among
 * themselves. What is folded is for the replica to say.
 */
import type {
  ClientCommand,
  Command,
  PresenceCommand,
  Region,
  UserId,
} from "../../replicator/core/commands.ts";
import { isFact } from "../../replicator/core/facts.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { subjectOf } from "../../replicator/core/provisional.ts";
import type { LogPosition } from "../../replicator/core/token.ts";
import type { AppendOutcome } from "./appender.ts";

interface Way {
  readonly command: PresenceCommand;
  readonly to: Region;
}

/** What was appended next to each other. */
interface Sent {
  readonly ways: readonly Way[];
  /** The place of the last of it in the log. */
  place: LogPosition | "under way" | "unanswered";
}

export class Ways {
  readonly #region: Region;
  /** How far the region's own log is folded. */
  readonly #folded: () => LogPosition;
  /** In the order of the appends. */
  readonly #sent = new Set<Sent>();
  readonly #byUser = new Map<UserId, Way[]>();

  constructor(region: Region, folded: () => LogPosition) {
    this.#region = region;
    this.#folded = folded;
  }

  /** The commands are appended now; {@link settle} is to hear what came of it. */
  send(commands: readonly Command[]): Sent {
    const ways = commands.flatMap((command) => wayOf(command, this.#region) ?? []);
    const sent: Sent = { ways, place: "under way" };
    this.#sent.add(sent);
    for (const way of ways) {
      const { user } = way.command;
      const all = this.#byUser.get(user);
      if (all === undefined) this.#byUser.set(user, [way]);
      else all.push(way);
    }
    const [oldest] = this.#sent;
    if (oldest !== undefined && this.#sent.size > LIMITS.waysMax) this.#forget(oldest);
    return sent;
  }

  settle(sent: Sent, outcome: AppendOutcome): void {
    if (outcome.ok) sent.place = outcome;
    else if (outcome.reason === "unanswered") sent.place = "unanswered";
    else this.#forget(sent);
  }

  of(command: ClientCommand): Region | undefined {
    this.#forgetFolded();
    const all = this.#byUser.get(command.user);
    if (all === undefined) return undefined;
    const newest = all.findLast((way) => way.command.kind === "open")?.to;
    if (isFact(command)) return newest;
    const subject = subjectOf(command);
    const last = all.findLast((way) => subjectOf(way.command) === subject);
    return last !== undefined || command.kind === "update" || command.kind === "close" ? last?.to : newest;
  }

  /** A node's frames are stored in the order in which they were made, or never: before one that is folded nothing is on its way. */
  #forgetFolded(): void {
    const { logId, position } = this.#folded();
    const past: Sent[] = [];
    for (const sent of this.#sent) {
      const { place } = sent;
      if (place === "under way") break;
      past.push(sent);
      if (place === "unanswered" || place.logId !== logId) continue;
      if (place.position > position) break;
      for (const one of past.splice(0)) this.#forget(one);
    }
  }

  #forget(sent: Sent): void {
    this.#sent.delete(sent);
    for (const way of sent.ways) {
      const { user } = way.command;
      const all = this.#byUser.get(user) ?? [];
      const at = all.indexOf(way);
      if (at >= 0) all.splice(at, 1);
      if (all.length === 0) this.#byUser.delete(user);
    }
  }
}

/** Of what a client said; what nodes say of their own accord has no way. */
function wayOf(command: Command, own: Region): Way | undefined {
  const isForward = command.kind === "forward";
  const said = isForward ? command.command : command;
  switch (said.kind) {
    case "open":
    case "update":
    case "close":
    case "prefer":
      return { command: said, to: isForward ? command.to : own };
    case "stance":
    case "read":
    case "bookmark":
    case "claim":
    case "accept":
    case "drop":
    case "release":
    case "set":
    case "watermark":
    case "renewed":
    case "mark":
    case "digest":
    case "deputed":
      return undefined;
  }
}
