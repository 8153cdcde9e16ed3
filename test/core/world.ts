/**
 * A small world for the core: three regions with one or two nodes each, a log per region (an array), links that can be cut. It does
 * what a driver must do and no more: stores appends or loses them, delivers frames, keeps leases, closes orphans.
 * Rule: it never reopens a session. What it started and did not end must be in view at the end by the core's own doing, but for the
 * users of whom a log's lost end spoke: these it reconciles, as a service would.
 */
import { strict as assert } from "node:assert";
import type {
  ClientCommand,
  Command,
  Frame,
  LogId,
  Position,
  Region,
  Session,
  SessionId,
  UserId,
} from "../../replicator/core/commands.ts";
import { firstHome } from "../../replicator/core/evacuation.ts";
import type { Now } from "../../replicator/core/lag.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { NodeEffect, NodeEvent } from "../../replicator/core/node-events.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { Heirs } from "./heirs.ts";
import { Logs, headOf } from "./logs.ts";
import type { Stand } from "./logs.ts";
import { BY_THE_CLOCK, Member } from "./member.ts";
import type { AppendFate, Observer, Truth, Write } from "./member.ts";
import { assertClosed, assertEnded, expired } from "./truths.ts";
import { usersOf } from "./users.ts";
import { REGIONS, USERS } from "./samples.ts";
import { Snapshots } from "./snapshots.ts";

const SKEW_MS: Record<Region, number> = { cn: -40_000, eu: 0, us: 3_600_000 };

export class World {
  readonly logs = new Logs();
  readonly snapshots = new Snapshots(this);
  readonly heirs = new Heirs(this);
  readonly members: Member[] = [];
  readonly truths = new Map<SessionId, Truth>();
  readonly writes: Write[] = [];
  /** Frames given up by their node that may yet be stored. */
  readonly late: Frame[] = [];
  readonly cuts = new Set<string>();
  /** Of these a lost end of some log spoke. */
  readonly bereft = new Set<UserId>();
  /** Commands that were stored, but for those that come by the clock. */
  stored = 0;
  /** Users given to another region. */
  released = 0;
  /** Those of them that had lived there before. */
  returned = 0;
  /** Regions that were evacuated, and that were restored. */
  evacuations = 0;
  restores = 0;
  /** Users that a duty gave away, out of a region or back to it. */
  evacuated = 0;
  renewals = 0;
  lostEnds = 0;
  /** Digests that were compared, all of them equal. */
  compared = 0;
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

  /** The region's log as it is. */
  log(region: Region): Frame[] {
    return this.logs.newest(region).frames;
  }

  /** The log that the member folds, which may have ended since. */
  folded(member: Member, region: Region): Frame[] {
    const { logId } = member.stand(region);
    return logId === "" ? this.log(region) : this.logs.byId(region, logId).frames;
  }

  now(region: Region): Now {
    return { monoMs: this.#monoMs, wallMs: 1_700_000_000_000 + this.#monoMs + (SKEW_MS[region] ?? 0) };
  }

  advance(ms: number): void {
    this.#monoMs += ms;
  }

  give(member: Member, event: NodeEvent): readonly NodeEffect[] {
    const effects = member.node.step(event, this.now(member.region));
    if (event.kind === "adopt") for (const id of this.snapshots.endedFor(member)) this.#end(id);
    for (const effect of effects) this.#carryOut(member, effect);
    this.observer?.stepped(member, event.kind === "frame" ? event.region : undefined);
    return effects;
  }

  #end(id: SessionId): void {
    const truth = this.truths.get(id);
    assert(truth !== undefined);
    truth.ended = true;
  }

  // ── logs and links ───────────────────────────────────────────────────────────────────────────────────────

  store(member: Member, commands: readonly Command[]): Position {
    const { frames, logId } = this.logs.newest(member.region);
    frames.push(this.#frame(member, logId, commands));
    this.stored += commands.filter(({ kind }) => !BY_THE_CLOCK.has(kind)).length;
    return frames.length;
  }

  #frame(member: Member, logId: LogId, commands: readonly Command[]): Frame {
    const { region, name: node } = member;
    return { region, logId, node, committedAtMs: this.now(region).wallMs, commands };
  }

  /** The next `count` frames of `origin` reach the node, unless the link is cut. */
  deliver(member: Member, origin: Region, count: number): void {
    if (this.#isCut(member, origin)) return;
    for (let n = 0; n < count; n++) {
      const { logId, position } = member.stand(origin);
      const next = this.logs.next(origin, logId, position);
      if (next === undefined) {
        if (this.logs.newest(origin).writer === origin) this.#giveUnconnected(member, origin);
        if (this.snapshots.adoptFor(member, origin)) continue;
        break;
      }
      const frame = next.position > headOf(next.log) ? undefined : next.log.frames[next.position - 1];
      if (frame === undefined || !this.heirs.mayFollow(member, next.log)) break;
      this.give(member, { kind: "frame", region: origin, position: next.position, frame });
      this.snapshots.readOn(member);
    }
    this.#catchUp(member);
  }

  #isCut(member: Member, origin: Region): boolean {
    const { writer } = this.logs.newest(origin);
    return writer !== member.region && this.cuts.has(`${writer}>${member.region}`);
  }

  /** Whether the member's region writes its own log. */
  mayWrite({ region }: Member): boolean {
    return this.logs.newest(region).writer === region;
  }

  /** The beginning of a log that does not go on from where the member is. */
  #giveUnconnected(member: Member, region: Region): void {
    const [frame] = this.log(region);
    assert(frame !== undefined);
    const effects = this.give(member, { kind: "frame", region, position: 1, frame });
    assert.deepEqual(effects, [{ kind: "refused", region, position: 1, reason: "identity" }]);
  }

  /** What was asked for a log that ended since is lost: a position in it means nothing in the one that goes on. */
  settle(member: Member, wanted: AppendFate): void {
    const append = member.outbox.shift();
    if (append === undefined) return;
    const { duty, commands } = append;
    const isOpen = this.mayWrite(member) && this.#isNewest(member.region, append.logId);
    const fate = isOpen ? wanted : "lost";
    if (fate === "stored" || fate === "unacknowledged") {
      this.store(member, commands);
      this.evacuated += commands.filter(({ kind }) => kind === "release").length;
      if (duty.kind === "expire") for (const command of commands) this.heirs.expire(command);
    }
    if (fate === "late") this.late.push(this.#frame(member, this.logs.newest(member.region).logId, commands));
    this.give(member, { kind: "settled", duty, ok: fate === "stored" });
  }

  isOnNewest(member: Member, region: Region): boolean {
    return this.#isNewest(region, member.stand(region).logId);
  }

  #isNewest(region: Region, logId: LogId): boolean {
    const newest = this.logs.newest(region);
    return logId === newest.logId || (logId === "" && newest.from === undefined);
  }

  /** A frame that was given up arrives after all, if its log is still the one. */
  storeLate(): void {
    const frame = this.late.shift();
    if (frame === undefined || frame.logId !== this.logs.newest(frame.region).logId) return;
    this.log(frame.region).push(frame);
    this.stored += 1;
  }

  /**
   * The log of the member's region goes on under another identity from where the member is: all that came after is lost. Once a member
   * knows all other logs as they are, so that its snapshot leads everybody there.
   */
  renew(member: Member): void {
    const { region, node } = member;
    const { logId, position } = member.stand(region);
    if (!node.caughtUp || position === 0) return;
    if (!this.heirs.mayRenew(member)) return;
    if (!REGIONS.every((origin) => this.isOnNewest(member, origin))) return;
    const lost = this.logs.renew(region, position, (renewed) =>
      this.#frame(member, renewed, [{ kind: "renewed", logId, position, checksum: 0 }]),
    );
    this.renewals += 1;
    if (lost.length > 0) this.lostEnds += 1;
    for (const user of usersOf(lost)) this.bereft.add(user);
    this.deliver(member, region, 1);
    for (const stood of this.logs.stoodForBy(region)) this.deliver(member, stood.region, 1);
    this.snapshots.take(member);
  }

  /** Starts without anything, or with a snapshot. */
  restart(member: Member, replica?: Replica): void {
    member.node = new PresenceNode(member.region, REGIONS);
    member.outbox.length = 0;
    member.known.clear();
    member.orphans.clear();
    this.snapshots.abandon(member);
    member.startedAt = new Map(REGIONS.map((origin) => [origin, this.#reachable(member, origin)]));
    this.observer?.restarted(member);
    if (replica !== undefined) this.give(member, { kind: "adopt", replica });
    this.#catchUp(member);
  }

  #reachable(member: Member, origin: Region): Stand {
    const log = this.logs.newest(origin);
    return this.#isCut(member, origin) || log.frames.length === 0
      ? { logId: "", position: 0 }
      : { logId: log.logId, position: headOf(log) };
  }

  #catchUp(member: Member): void {
    if (member.node.caughtUp) return;
    for (const [origin, { logId, position }] of member.startedAt) {
      const at = member.stand(origin);
      const isBefore = at.logId === logId ? at.position < position : !this.isOnNewest(member, origin);
      if (logId !== "" && (at.logId === "" || isBefore)) return;
    }
    this.give(member, { kind: "caught-up" });
  }

  // ── what frontends do ────────────────────────────────────────────────────────────────────────────────────

  open(
    member: Member,
    user: UserId,
    login: Pick<Session, "device" | "platform" | "policy">,
    home: Region | undefined,
    acknowledged: boolean,
  ): void {
    if (!member.node.caughtUp || !this.mayWrite(member)) return;
    const session: Session = {
      session: `s${this.truths.size + 1}`,
      region: member.region,
      ...login,
      status: "online",
      state: "",
      sinceMs: this.now(member.region).wallMs,
    };
    member.known.add(session.session);
    this.truths.set(session.session, { user, session, closed: !acknowledged, ended: false });
    this.append(member, { kind: "open", user, session }, home);
  }

  update(member: Member, truth: Truth, status: Session["status"], state: string): void {
    if (truth.closed || truth.ended || !this.mayWrite(member)) return;
    if (!member.known.has(truth.session.session)) return;
    const { session, user } = truth;
    truth.session = { ...session, status, state };
    this.append(member, { kind: "update", user, session: session.session, status, state });
  }

  close(member: Member, truth: Truth): void {
    if (truth.closed || truth.ended || !this.mayWrite(member)) return;
    if (!member.known.has(truth.session.session)) return;
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
  append(member: Member, command: ClientCommand, home?: Region): void {
    if (!this.mayWrite(member)) return;
    this.deliver(member, member.region, Number.POSITIVE_INFINITY);
    const { region } = member;
    assert(this.isOnNewest(member, region), "the snapshot of a renewal leads every node of its region on");
    const { replica } = member.node;
    const to = replica.route(region, command) ?? firstHome(replica, home ?? region);
    const position = this.store(member, [to === region ? command : { kind: "forward", to, command }]);
    this.writes.push({ region, logId: this.logs.newest(region).logId, position, command });
  }

  /** Gives one of the users that may be given away to another region. */
  release(member: Member, choice: number, to: Region): void {
    this.deliver(member, member.region, Number.POSITIVE_INFINITY);
    const users = USERS.filter((user) => member.node.mayRelease(user));
    const user = users[choice % users.length];
    if (user === undefined || to === member.region || !this.mayWrite(member)) return;
    const before = member.node.replica.fold(to)?.table.get(user);
    this.store(member, [{ kind: "release", user, to }]);
    this.released += 1;
    if (before !== undefined) this.returned += 1;
  }

  set(member: Member, key: string, value: string): void {
    if (member.node.caughtUp && this.mayWrite(member))
      this.store(member, [{ kind: "set", key, value, by: member.name, reason: "" }]);
  }

  /** Closes what a log says is open here and is not. */
  closeOrphans(member: Member): void {
    if (!this.mayWrite(member)) return;
    const closes = [...member.orphans.values()];
    member.orphans.clear();
    for (const close of closes) this.append(member, close);
  }

  #carryOut(member: Member, effect: NodeEffect): void {
    if (effect.kind === "append") member.outbox.push({ logId: member.stand(member.region).logId, ...effect });
    else if (effect.kind === "opened") {
      const truth = this.truths.get(effect.session.session);
      assert(truth?.user === effect.user, "a session appeared that nobody opened");
      assert.equal(effect.session.region, member.region, "a node is told of its own region's sessions only");
      member.known.add(effect.session.session);
      if (!truth.closed && !truth.ended) return;
      const { session } = effect.session;
      member.orphans.set(session, expired(truth));
    } else if (effect.kind === "compared") {
      assert.deepEqual(effect.buckets, [], "invariant 1: digests at the same mark differ");
      this.compared += 1;
    } else if (effect.kind === "corrupt") {
      assert.fail(`the record of ${effect.user} changed without a command`);
    } else if (effect.kind === "ended") {
      assertEnded(this.truths, effect.user, effect.ended);
      this.#end(effect.ended.session.session);
    } else if (effect.kind === "closed") {
      assertClosed(this.truths, effect.close);
    }
  }
}
