/** Random scripts for the world: small steps of plain numbers, so that a failing one shrinks to what matters. */
import * as fc from "fast-check";
import { strict as assert } from "node:assert";
import { PREFERRED_STATUSES, SESSION_STATUSES, STANCE_WORDS } from "../../replicator/core/commands.ts";
import type { LoginPolicy, Region } from "../../replicator/core/commands.ts";
import { EVACUATION_KEY, evacuationOf, evacuationValue } from "../../replicator/core/evacuation.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { AppendFate, Member } from "./member.ts";
import { calm } from "./quiet.ts";
import { REGIONS, USERS } from "./samples.ts";
import type { World } from "./world.ts";

const DEVICES = ["", "phone", "web"];
const FATES: AppendFate[] = ["stored", "stored", "lost", "lost", "unacknowledged", "late"];

export type Action =
  | "open"
  | "update"
  | "close"
  | "prefer"
  | "deliver"
  | "settle"
  | "tick"
  | "cut"
  | "heal"
  | "replay"
  | "refused"
  | "restart"
  | "late"
  | "orphans"
  | "snapshot"
  | "resume"
  | "renew"
  | "calm"
  | "release"
  | "set"
  | "evacuate"
  | "succeed"
  | "say"
  | "read";

/** `a`, `b` and `c` choose what the action is about, each modulo what there is to choose from. */
export interface Step {
  readonly action: Action;
  readonly who: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

const WEIGHTS: readonly [number, Action][] = [
  [10, "open"],
  [5, "update"],
  [6, "close"],
  [3, "prefer"],
  [26, "deliver"],
  [18, "settle"],
  [14, "tick"],
  [2, "cut"],
  [2, "heal"],
  [4, "replay"],
  [2, "refused"],
  [1, "restart"],
  [2, "late"],
  [3, "orphans"],
  [3, "snapshot"],
  [2, "resume"],
  [2, "renew"],
  [1, "calm"],
  [6, "release"],
  [2, "evacuate"],
  [3, "succeed"],
  [1, "set"],
  [9, "say"],
  [4, "read"],
];

/** Most logins leave the others alone. */
const POLICIES: readonly LoginPolicy[] = ["multi", "multi", "single", "multi", "per-platform"];
const PLATFORMS = ["web", "ios"];

const small = fc.nat(11);

export function scripts(maxLength: number): fc.Arbitrary<{ nodes: Record<Region, number>; steps: Step[] }> {
  const action = fc.oneof(
    ...WEIGHTS.map(([weight, arbitrary]) => ({ weight, arbitrary: fc.constant(arbitrary) })),
  );
  const count = fc.integer({ min: 1, max: 2 });
  return fc.record({
    nodes: fc.record({ cn: count, eu: count, us: count }),
    steps: fc.array(fc.record({ action, who: small, a: small, b: small, c: small }), {
      maxLength,
      minLength: 1,
      size: "max",
    }),
  });
}

function pick<T>(from: readonly T[], index: number): T {
  const one = from[index % from.length];
  assert(one !== undefined);
  return one;
}

/** What the step did, or why it did nothing; the caller may count it. */
export function run(world: World, { action, who, a, b, c }: Step): void {
  const member = pick(world.members, who);
  switch (action) {
    case "open": {
      const home = c < 4 ? pick(REGIONS, c) : undefined;
      const login = {
        device: pick(DEVICES, b),
        platform: pick(PLATFORMS, b),
        policy: pick(POLICIES, c),
      };
      return world.open(member, pick(USERS, a), login, home, c !== 11);
    }
    case "update":
    case "close": {
      const truths = [...world.truths.values()];
      if (truths.length === 0) return;
      const truth = pick(truths.toReversed(), a);
      const own = world.members.filter(({ region }) => region === truth.session.region);
      if (action === "close") return world.close(pick(own, who), truth);
      return world.update(pick(own, who), truth, pick(SESSION_STATUSES, b), `{"n":${c}}`);
    }
    case "prefer": {
      if (!member.node.caughtUp) return;
      const preferred = pick(PREFERRED_STATUSES, b);
      const untilMs = preferred !== "automatic" && c < 4 ? world.now(member.region).wallMs + 1_000 * c : 0;
      return world.append(member, { kind: "prefer", user: pick(USERS, a), preferred, untilMs });
    }
    case "deliver":
      return world.deliver(member, pick(REGIONS, a), 1 + (b % 6));
    case "settle":
      return world.settle(member, pick(FATES, a));
    case "tick":
      world.advance(b < 10 ? 25 * b : 3_000);
      world.give(member, { kind: "tick" });
      return;
    case "cut":
      world.cuts.add(`${pick(REGIONS, a)}>${pick(REGIONS, b)}`);
      return;
    case "heal":
      world.cuts.clear();
      return;
    case "replay":
      return replay(world, member, pick(REGIONS, a), b);
    case "refused":
      return giveRefused(world, member, pick(REGIONS, a), b);
    case "restart":
      return world.restart(member);
    case "late":
      return world.storeLate();
    case "orphans":
      return world.closeOrphans(member);
    case "snapshot":
      return world.snapshots.read(member);
    case "resume":
      return world.restart(member, world.snapshots.newest());
    case "renew":
      return world.renew(member);
    case "calm":
      return calm(world);
    case "release":
      if (c < 4) calm(world);
      return world.release(member, a, pick(REGIONS, b));
    case "say":
      return say(world, member, a, b, c);
    case "read": {
      const [user, other] = [pick(USERS, a), pick(USERS, b)];
      if (!member.node.caughtUp) return;
      const { round } = member.node.replica.friends.pairOf(user, other);
      if (round === 0 || user === other)
        return world.append(member, { kind: "bookmark", user, offset: `${b}`, count: c });
      return world.append(member, { kind: "read", user, other, round });
    }
    case "evacuate":
      if (c < 8) calm(world);
      return evacuate(world, member, pick(REGIONS, b));
    case "succeed":
      if (c < 4) world.advance(LIMITS.ttlMs);
      if (c < 8) calm(world);
      return world.heirs.succeed(member, pick(REGIONS, b));
    case "set":
      return world.set(member, `key-${a % 3}`, `${b}`);
  }
}

/** A request, or something about one of which the world has heard: by whom it is of, or to whom. */
function say(world: World, member: Member, a: number, b: number, c: number): void {
  if (!member.node.caughtUp) return;
  const said = world.writes.map(({ command }) => command).filter((command) => command.kind === "stance");
  const earlier = c < 5 ? undefined : said.toReversed()[a % 4];
  const { user, other } = earlier ?? { user: pick(USERS, a), other: pick(USERS, b) };
  if (user === other) return;
  const { round } = member.node.replica.friends.pairOf(user, other);
  const word = earlier === undefined ? "asked" : pick(STANCE_WORDS, c);
  const about = word === "asked" && c < 8 ? round + 1 : round;
  if (about === 0) return;
  const message = word === "asked" ? `of ${member.name}` : "";
  const stance = {
    kind: "stance",
    word,
    round: about,
    message,
    atMs: world.now(member.region).wallMs,
  } as const;
  if (earlier === undefined || b % 2 === 0) world.append(member, { user, other, ...stance });
  else world.append(member, { user: other, other: user, ...stance });
}

/** Decides that the member's region is evacuated; or, where it is, that its users come back. */
function evacuate(world: World, member: Member, heir: Region): void {
  world.deliver(member, member.region, Number.POSITIVE_INFINITY);
  const { region, node } = member;
  const standing = evacuationOf(node.replica, region);
  if (!node.caughtUp || (standing === undefined && heir === region)) return;
  const since = node.replica.fold(region)?.version ?? 0;
  if (standing === undefined) world.evacuations += 1;
  else if (standing.phase === "to") world.restores += 1;
  else return;
  const decided = standing ?? { phase: "to", heir, since, end: undefined };
  const phase = standing === undefined ? "to" : "ending";
  world.set(member, EVACUATION_KEY, evacuationValue({ ...decided, phase, end: undefined }));
}

/** A frame that the node has folded comes again. */
function replay(world: World, member: Member, origin: Region, back: number): void {
  const position = member.positionIn(origin) - back;
  const frame = world.folded(member, origin)[position - 1];
  if (frame === undefined) return;
  const effects = world.give(member, { kind: "frame", region: origin, position, frame });
  assert.deepEqual(effects, [], "a frame folded before has no effect");
}

/** A frame that must not be folded: from beyond a gap, of another log identity, of another region. */
function giveRefused(world: World, member: Member, origin: Region, how: number): void {
  const position = member.positionIn(origin);
  const frame = world.folded(member, origin)[position];
  if (frame === undefined || position === 0 || frame.region !== origin) return;
  const wrong = [
    { reason: "gap", position: position + 2, frame },
    { reason: "identity", position: position + 1, frame: { ...frame, logId: "another" } },
    {
      reason: "authority",
      position: position + 1,
      frame: { ...frame, region: pick(REGIONS, REGIONS.indexOf(origin) + 1) },
    },
  ] as const;
  const { reason, ...event } = pick(wrong, how);
  const effects = world.give(member, { kind: "frame", region: origin, ...event });
  assert.deepEqual(effects, [{ kind: "refused", region: origin, position: event.position, reason }]);
}
