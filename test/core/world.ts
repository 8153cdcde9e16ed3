/**
 * A small world for the core: three regions with one or two nodes each, a log per region (an array), links that can be cut. It does
 * what a driver must do and no more: stores appends or loses them, delivers frames, keeps leases, closes orphans.
 * Rule: it never reopens a session. What it started and did not end must be in view at the end by the core's own doing.
 */
import { strict as assert } from "node:assert";
import type {
  Close,
  Command,
  Frame,
  Position,
  Region,
  Session,
  SessionId,
  UserCommand,
  UserId,
} from "../../replicator/core/commands.ts";
import type { Now } from "../../replicator/core/lag.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { Duty, NodeEffect, NodeEvent } from "../../replicator/core/node.ts";
import { REGIONS, logOf } from "./samples.ts";

export interface Append {
  readonly duty: Duty;
  readonly commands: readonly Command[];
}

/** How an append ends: stored or not, acknowledged or not; `late` is stored after it was given up. */
export type AppendFate = "stored" | "lost" | "unacknowledged" | "late";

/** A session as the region it is connected to knows it. */
export interface Truth {
  readonly user: UserId;
  session: Session;
  /** The region asked for its end. */
  closed: boolean;
  /** The home ended it. */
  ended: boolean;
}

/** A write that was acknowledged with a token. */
export interface Write {
  readonly region: Region;
  readonly position: Position;
  readonly command: UserCommand;
}

export class Member {
  readonly region: Region;
  readonly name: string;
  node: PresenceNode;
  readonly outbox: Append[] = [];
  /** Where the logs ended for this region when the node started. */
  startedAt: ReadonlyMap<Region, Position> = new Map();
  /** Sessions this node opened, or was told of: it has their leases. */
  readonly known = new Set<SessionId>();
  readonly orphans = new Map<SessionId, Close>();

  constructor(region: Region, name: string) {
    this.region = region;
    this.name = name;
    this.node = new PresenceNode(region, REGIONS);
  }

  positionIn(origin: Region): Position {
    return this.node.replica.fold(origin)?.position ?? 0;
  }
}

export interface Observer {
  /** After every event a node was given; `frame` says of which log, if it folded one. */
  stepped(member: Member, origin: Region | undefined): void;
  restarted(member: Member): void;
}

const SKEW_MS: Record<Region, number> = { cn: -40_000, eu: 0, us: 3_600_000 };

export class World {
  readonly logs = new Map<Region, Frame[]>(REGIONS.map((region) => [region, []]));
  readonly members: Member[] = [];
  readonly truths = new Map<SessionId, Truth>();
  readonly writes: Write[] = [];
  /** Frames given up by their node that may yet be stored. */
  readonly late: Frame[] = [];
  readonly cuts = new Set<string>();
  /** Commands other than watermarks that were stored. */
  stored = 0;
  observer: Observer | undefined;
  #monoMs = 1_000;

  constructor(nodes: Record<Region, number>) {
    for (const region of REGIONS) {
      for (let number = 1; number <= (nodes[region] ?? 1); number++) {
        this.members.push(new Member(region, `${region}-${number}`));
      }
    }
    for (const member of this.members) this.give(member, { kind: "caught-up" });
  }

  log(region: Region): Frame[] {
    const log = this.logs.get(region);
    assert(log !== undefined);
    return log;
  }

  now(region: Region): Now {
    return { monoMs: this.#monoMs, wallMs: 1_700_000_000_000 + this.#monoMs + (SKEW_MS[region] ?? 0) };
  }

  advance(ms: number): void {
    this.#monoMs += ms;
  }

  give(member: Member, event: NodeEvent): readonly NodeEffect[] {
    const effects = member.node.step(event, this.now(member.region));
    for (const effect of effects) this.#carryOut(member, effect);
    this.observer?.stepped(member, event.kind === "frame" ? event.region : undefined);
    return effects;
  }

  // ── logs and links ───────────────────────────────────────────────────────────────────────────────────────

  store(member: Member, commands: readonly Command[]): Position {
    const log = this.log(member.region);
    const { wallMs: committedAtMs } = this.now(member.region);
    log.push({
      region: member.region,
      logId: logOf(member.region),
      node: member.name,
      committedAtMs,
      commands,
    });
    this.stored += commands.filter(({ kind }) => kind !== "watermark").length;
    return log.length;
  }

  /** The next `count` frames of `origin` reach the node, unless the link is cut. */
  deliver(member: Member, origin: Region, count: number): void {
    if (origin !== member.region && this.cuts.has(`${origin}>${member.region}`)) return;
    for (let n = 0; n < count; n++) {
      const position = member.positionIn(origin) + 1;
      const frame = this.log(origin)[position - 1];
      if (frame === undefined) break;
      this.give(member, { kind: "frame", region: origin, position, frame });
    }
    this.#catchUp(member);
  }

  settle(member: Member, fate: AppendFate): void {
    const append = member.outbox.shift();
    if (append === undefined) return;
    const { duty, commands } = append;
    if (fate === "stored" || fate === "unacknowledged") this.store(member, commands);
    if (fate === "late") {
      const { wallMs: committedAtMs } = this.now(member.region);
      const { region, name: node } = member;
      this.late.push({ region, logId: logOf(region), node, committedAtMs, commands });
    }
    this.give(member, { kind: "settled", duty, ok: fate === "stored" });
  }

  /** A frame that was given up arrives after all. */
  storeLate(): void {
    const frame = this.late.shift();
    if (frame === undefined) return;
    this.log(frame.region).push(frame);
    this.stored += 1;
  }

  restart(member: Member): void {
    member.node = new PresenceNode(member.region, REGIONS);
    member.outbox.length = 0;
    member.known.clear();
    member.orphans.clear();
    member.startedAt = new Map(REGIONS.map((origin) => [origin, this.#reachable(member, origin)]));
    this.observer?.restarted(member);
    this.#catchUp(member);
  }

  #reachable(member: Member, origin: Region): Position {
    const cut = origin !== member.region && this.cuts.has(`${origin}>${member.region}`);
    return cut ? 0 : this.log(origin).length;
  }

  #catchUp(member: Member): void {
    if (member.node.caughtUp) return;
    for (const [origin, position] of member.startedAt) if (member.positionIn(origin) < position) return;
    this.give(member, { kind: "caught-up" });
  }

  // ── what frontends do ────────────────────────────────────────────────────────────────────────────────────

  open(member: Member, user: UserId, device: string, home: Region | undefined, acknowledged: boolean): void {
    if (!member.node.caughtUp) return;
    const session: Session = {
      session: `s${this.truths.size + 1}`,
      region: member.region,
      device,
      platform: "web",
      status: "online",
      state: "",
      sinceMs: this.now(member.region).wallMs,
    };
    member.known.add(session.session);
    this.truths.set(session.session, { user, session, closed: !acknowledged, ended: false });
    this.append(member, { kind: "open", user, session }, home);
  }

  update(member: Member, truth: Truth, status: Session["status"], state: string): void {
    if (truth.closed || truth.ended || !member.known.has(truth.session.session)) return;
    const { session, user } = truth;
    truth.session = { ...session, status, state };
    this.append(member, { kind: "update", user, session: session.session, status, state });
  }

  close(member: Member, truth: Truth): void {
    if (truth.closed || truth.ended || !member.known.has(truth.session.session)) return;
    truth.closed = true;
    this.append(member, {
      kind: "close",
      user: truth.user,
      session: truth.session.session,
      reason: "logout",
      by: "",
    });
  }

  /**
   * Appends where the node thinks it belongs; acknowledged at once. The node has folded its own log first: what is between the two is
   * the business of the service.
   */
  append(member: Member, command: UserCommand, home?: Region): void {
    this.deliver(member, member.region, Number.POSITIVE_INFINITY);
    const to = member.node.replica.route(member.region, command) ?? home ?? member.region;
    const position = this.store(member, [to === member.region ? command : { kind: "forward", to, command }]);
    this.writes.push({ region: member.region, position, command });
  }

  /** Closes what a log says is open here and is not. */
  closeOrphans(member: Member): void {
    const closes = [...member.orphans.values()];
    member.orphans.clear();
    for (const close of closes) this.append(member, close);
  }

  #carryOut(member: Member, effect: NodeEffect): void {
    if (effect.kind === "append") member.outbox.push(effect);
    else if (effect.kind === "opened") {
      const truth = this.truths.get(effect.session.session);
      assert(truth !== undefined && truth.user === effect.user, "a session appeared that nobody opened");
      assert.equal(effect.session.region, member.region, "a node is told of its own region's sessions only");
      member.known.add(effect.session.session);
      if (!truth.closed && !truth.ended) return;
      const { session } = effect.session;
      const close: Close = { kind: "close", user: truth.user, session, reason: "expired", by: "" };
      member.orphans.set(session, close);
    } else if (effect.kind === "ended") {
      const truth = this.truths.get(effect.ended.session.session);
      assert(truth !== undefined && truth.user === effect.user, "a session ended that nobody opened");
      const { reason, by, session } = effect.ended;
      const replacing = this.truths.get(by);
      if (reason !== "replaced") assert(truth.closed, "a session was closed that nobody closed");
      else
        assert(
          session.device !== "" && replacing?.session.device === session.device,
          "replaced by another device",
        );
      truth.ended = true;
    }
  }

  /** Heals every link, loses nothing any more, and runs until no node has anything left to say. */
  quiesce(): void {
    this.cuts.clear();
    while (this.late.length > 0) this.storeLate();
    let quietRounds = 0;
    for (let round = 0; quietRounds < 6; round++) {
      assert(round < 120, "the nodes never come to rest");
      const before = this.stored;
      this.advance(1_500);
      for (const member of this.members) {
        for (const origin of REGIONS) this.deliver(member, origin, Number.POSITIVE_INFINITY);
        this.give(member, { kind: "tick" });
        this.closeOrphans(member);
        while (member.outbox.length > 0) this.settle(member, "stored");
      }
      quietRounds = this.stored === before ? quietRounds + 1 : 0;
    }
    for (const member of this.members) {
      for (const origin of REGIONS) this.deliver(member, origin, Number.POSITIVE_INFINITY);
    }
  }
}
