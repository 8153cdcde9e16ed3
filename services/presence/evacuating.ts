/**
 * Evacuation and restoring of this region as operators ask for it: the plan, what speaks against it, the decision, the progress.
 * Rule: what is decided goes to the region's own log and nowhere else, and nothing is written that would be refused or of which only
 * a plan is wanted. Who asks again for what stands changes nothing, and is told what stands. The moving is a duty of the nodes (replicator/core/evacuation.ts).
 */
import { defined } from "../../replicator/core/assert.ts";
import type { Region } from "../../replicator/core/commands.ts";
import {
  EVACUATION_KEY,
  evacuationOf,
  evacuationValue,
  heirOf,
  isAway,
} from "../../replicator/core/evacuation.ts";
import type { Evacuation } from "../../replicator/core/evacuation.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { PresenceNode } from "../../replicator/core/node.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import { NOT_READY, evacuationRefused, otherRegion, unknownRegion } from "./failures.ts";
import { isInTouch, refusal } from "./plan.ts";
import type {
  EvacuationAnswer,
  EvacuationPlan,
  EvacuationRequest,
  Hold,
  RegionView,
  PlanRefusal,
} from "./evacuation-view.ts";
import type { Outcome } from "./service.ts";
import { Succeeding } from "./succeeding.ts";
import type { Tally } from "./tally.ts";
import type { Waiters } from "./waiters.ts";

export interface EvacuatingOptions {
  readonly node: PresenceNode;
  readonly clock: Clock;
  readonly waiters: Waiters;
  readonly tally: Tally;
  readonly decide: (
    key: string,
    value: string,
    by: string,
    reason: string,
  ) => Promise<Outcome<{ token: Token }>>;
}

type Asked = Promise<Outcome<EvacuationAnswer>>;

export class Evacuating {
  readonly #options: EvacuatingOptions;
  /** Of regions that are lost. */
  readonly #succeeding: Succeeding;

  constructor(options: EvacuatingOptions) {
    this.#options = options;
    this.#succeeding = new Succeeding(options, (region) => this.#view(region));
  }

  /** How it stands with every region, as this node has folded its log. */
  views(): ReadonlyMap<Region, RegionView> {
    return new Map(this.#options.node.replica.regions.map((region) => [region, this.#view(region)]));
  }

  async evacuate(request: EvacuationRequest & { readonly to: Region }): Asked {
    const { node } = this.#options;
    const { to, untilMs } = request;
    const { region, replica } = node;
    const fault = this.#fault(request.region, to);
    if (fault !== undefined) return fault;
    if (request.region !== region) return this.#succeeding.evacuate(request);
    const standing = evacuationOf(replica, region);
    const { version } = defined(replica.fold(region), "a replica has every region");
    const since = standing?.since ?? version;
    const plan = this.#plan(to, replica.homed(region), [
      ...(to === region ? [refusal("same-region", `${to} is the region itself`)] : []),
      ...this.#againstEvacuating(standing, to),
    ]);
    const isStanding = standing?.phase === "to" && standing.heir === to;
    if (isStanding && untilMs === undefined)
      return { ok: true, value: { plan, evacuation: this.#view(region) } };
    return this.#decide(request, plan, { phase: "to", heir: to, since, end: untilMs });
  }

  async restore(request: EvacuationRequest): Asked {
    const { region, replica } = this.#options.node;
    if (this.#succeeding.isHeirOf(request.region)) return this.#succeeding.restore(request);
    const fault = this.#fault(request.region, request.region);
    if (fault !== undefined) return fault;
    const standing = evacuationOf(replica, region);
    if (standing === undefined) {
      const plan = this.#plan(region, 0, [refusal("not-evacuated", `${region} is not evacuated`)]);
      return this.#decide(request, plan, undefined);
    }
    const isUnderWay = standing.phase !== "to";
    const plan = this.#plan(standing.heir, this.#away(standing), []);
    if (isUnderWay) return { ok: true, value: { plan, evacuation: this.#view(region) } };
    return this.#decide(request, plan, { ...standing, phase: "ending", end: undefined });
  }

  #fault(asked: Region, to: Region): ReturnType<typeof unknownRegion> | undefined {
    const { node } = this.#options;
    const { regions } = node.replica;
    for (const one of [asked, to]) if (!regions.includes(one)) return unknownRegion(one);
    // To this region: the one asked for is lost.
    if (asked !== node.region && to !== node.region) return otherRegion(asked);
    return node.caughtUp ? undefined : NOT_READY;
  }

  async #decide(
    { dryRun, force, by, reason }: EvacuationRequest,
    plan: EvacuationPlan,
    decided: Evacuation | undefined,
  ): Asked {
    const { node, decide, waiters } = this.#options;
    const standing = plan.refusals.filter(({ canForce }) => !canForce || !force);
    if (dryRun || decided === undefined || standing.length > 0) {
      const value = { plan, evacuation: this.#view(node.region) };
      return dryRun ? { ok: true, value } : evacuationRefused(standing);
    }
    const written = await decide(EVACUATION_KEY, evacuationValue(decided), by, reason);
    if (!written.ok) return written;
    const { token } = written.value;
    await waiters.wait(token, LIMITS.appendTimeoutMs);
    return { ok: true, value: { plan, evacuation: this.#view(node.region), token } };
  }

  #plan(heir: Region, users: number, refusals: readonly PlanRefusal[]): EvacuationPlan {
    const { node, clock } = this.#options;
    const { region, replica, matrix } = node;
    const rows = matrix.rows(clock());
    const peers = replica.regions.filter((one) => one !== region);
    const inTouch = 1 + peers.filter((peer) => isInTouch(rows, region, peer)).length;
    const found = [...refusals];
    if (heir !== region && !isInTouch(rows, region, heir))
      found.push(refusal("heir-behind", `${heir} and ${region} do not hear each other as of now`, true));
    if (2 * inTouch <= replica.regions.length) {
      const detail = `${inTouch} of ${replica.regions.length} regions are in touch`;
      found.push(refusal("no-quorum", detail, true));
    }
    return {
      users,
      sessions: replica.online.byRegion.get(region)?.sessions ?? 0,
      positions: Object.fromEntries(replica.folds.map((fold) => [fold.region, fold.position])),
      late: rows
        .filter(({ state }) => state !== "live")
        .map(({ origin, replica: late, state, reason, eventsBehind }) => ({
          origin,
          replica: late,
          state,
          reason,
          eventsBehind,
        })),
      refusals: found,
    };
  }

  #againstEvacuating(standing: Evacuation | undefined, to: Region): PlanRefusal[] {
    const { region, replica } = this.#options.node;
    const found: PlanRefusal[] = [];
    if (standing !== undefined && (standing.heir !== to || standing.phase !== "to")) {
      const what = standing.phase === "to" ? "is evacuated" : "gets its users back";
      const detail = `${region} ${what}, with ${standing.heir} as its heir: that has to end first`;
      found.push(refusal("under-way", detail));
    }
    if (evacuationOf(replica, to) !== undefined)
      found.push(refusal("heir-evacuated", `${to} is evacuated itself, or gets its users back`));
    for (const one of heirOf(replica, region))
      found.push(refusal("is-heir", `${region} is the heir of ${one}: that has to end first`));
    const asks = this.#succeeding.standsFor(region);
    if (asks !== undefined) found.push(asks);
    return found;
  }

  #view(region: Region): RegionView {
    const { node, tally, clock } = this.#options;
    const { replica, evacuations } = node;
    const evacuation = evacuationOf(replica, region);
    const homes = replica.homed(region);
    const nodes = tally.nodes(region, clock().monoMs);
    const succession = this.#succeeding.succession(region);
    const known = { homes, nodes, ...(succession && { succession }) };
    if (evacuation === undefined) return { state: "home", ...known };
    const { phase, heir, end } = evacuation;
    const usersLeft = evacuations.left(region) ?? null;
    const holds = usersLeft === 0 ? [] : this.#holds(region, evacuation);
    const decision = defined(
      replica.fold(region)?.settings.get(EVACUATION_KEY),
      "an evacuation is a decision",
    );
    return {
      state: phase !== "to" ? "restoring" : usersLeft === 0 ? "evacuated" : "evacuating",
      ...known,
      usersLeft,
      ...(holds.length > 0 ? { holds } : {}),
      to: heir,
      decision,
      ...(phase === "to" && end !== undefined ? { untilMs: end } : {}),
    };
  }

  /** What may keep users from moving, as this node sees it. */
  #holds(region: Region, { phase, heir }: Evacuation): readonly Hold[] {
    const { node, clock } = this.#options;
    const { replica, matrix } = node;
    const holds: Hold[] = [];
    if (phase === "to" && evacuationOf(replica, heir) !== undefined) {
      const detail = `${heir} is evacuated itself, or gets its users back: nobody moves until one of the two is restored`;
      holds.push({ reason: "heir-evacuated", detail });
    }
    if (phase === "to")
      for (const one of heirOf(replica, region)) {
        const detail = `${region} is the heir of ${one}: the users of ${one} stay until ${one} is restored`;
        holds.push({ reason: "is-heir", detail });
      }
    for (const { origin, replica: late, state } of matrix.rows(clock()))
      if (state !== "live") {
        const detail = `The link from ${origin} to ${late} is ${state}: users stay whom ${late} has not said it knows`;
        holds.push({ reason: "not-in-touch", detail });
      }
    return holds;
  }

  /** How many users would come back. */
  #away(evacuation: Evacuation): number {
    const { region, replica } = this.#options.node;
    let away = 0;
    for (const record of defined(replica.fold(region), "a replica has every region").table.values())
      if (isAway(replica, record, evacuation)) away += 1;
    return away;
  }
}
