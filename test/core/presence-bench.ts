/** The presence service of one node of cn over a fake log, on a clock that moves only when told. */
import type { Command, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { AppendOutcome } from "../../services/presence/appender.ts";
import { Capacity } from "../../services/presence/capacity.ts";
import { Presence } from "../../services/presence/presence.ts";
import type { OpenedSession, Outcome } from "../../services/presence/service.ts";
import { REGIONS, frame, logOf } from "./samples.ts";

const LOST: AppendOutcome = { ok: false, reason: "unavailable", detail: "not appended in time" };
const UNANSWERED: AppendOutcome = { ok: false, reason: "unanswered", detail: "no answer" };

/** What a node appends of its own accord. */
const DUTIES: ReadonlySet<Command["kind"]> = new Set(["watermark", "mark", "digest"]);

/** Appends wait in `asked` until they are stored, lost, or stored without the node being told. */
export class Bench {
  readonly log: Command[][] = [];
  readonly asked: { commands: readonly Command[]; settle: (outcome: AppendOutcome) => void }[] = [];
  ms = 10_000;
  canAppend = true;
  presence = this.start();
  #minted = 0;

  /** A new life of the node, over the same log. */
  start(capacity = new Capacity(), rehomeLogins?: number): Presence {
    this.asked.length = 0;
    this.presence = new Presence({
      region: "cn",
      regions: REGIONS,
      clock: () => ({ monoMs: this.ms, wallMs: 1_000_000 + this.ms }),
      append: (commands) => new Promise((settle) => this.asked.push({ commands, settle })),
      canAppend: () => this.canAppend,
      mintSession: () => `s${(this.#minted += 1)}`,
      random: () => 0.5,
      capacity,
      ...(rehomeLogins === undefined ? {} : { rehomeLogins }),
    });
    return this.presence;
  }

  /** The node folds its own log as far as it goes, and begins its work. */
  caughtUp(): this {
    this.fold();
    this.presence.step({ kind: "caught-up" });
    return this;
  }

  /** Folds what the log has and the node has not. */
  fold(): this {
    for (let at = this.presence.node.replica.fold("cn")?.position ?? 0; at < this.log.length; at++) {
      this.presence.folded("cn", at + 1, frame("cn", ...(this.log[at] ?? [])));
    }
    return this;
  }

  peer(region: Region, ...commands: Command[]): this {
    const position = (this.presence.node.replica.fold(region)?.position ?? 0) + 1;
    this.presence.folded(region, position, frame(region, ...commands));
    return this;
  }

  /** Answers every append that waits, the node's own included, and lets the callers go on. */
  async settle(how: "stored" | "lost" | "stored unnoticed" = "stored"): Promise<Command[]> {
    const commands: Command[] = [];
    for (const one of this.asked.splice(0)) {
      if (how !== "lost") this.log.push([...one.commands]);
      const stored: AppendOutcome = { ok: true, logId: logOf("cn"), position: this.log.length };
      one.settle(how === "stored" ? stored : how === "lost" ? LOST : UNANSWERED);
      commands.push(...one.commands);
    }
    await new Promise(setImmediate);
    return commands.filter(({ kind }) => !DUTIES.has(kind));
  }

  /** Time passes in ticks; appends are stored and folded at once. Returns what was appended. */
  async pass(ms: number, each?: () => void): Promise<Command[]> {
    const appended: Command[] = [];
    for (let done = 0; done < ms; done += LIMITS.tickMs) {
      this.ms += LIMITS.tickMs;
      this.presence.tick();
      if (this.asked.length > 0) appended.push(...(await this.settle()));
      this.fold();
      each?.();
    }
    return appended;
  }

  async open(user: string, device = "", home?: Region): Promise<OpenedSession> {
    const opening = this.presence.openSession({ user, device, ...(home === undefined ? {} : { home }) });
    await this.settle();
    this.fold();
    return valueOf(await opening);
  }

  status(user: string): string {
    return this.presence.presence(user).status;
  }
}

export function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.problem.detail);
  return outcome.value;
}
