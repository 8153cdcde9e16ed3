/**
 * Evacuation of a region that is lost, as operators ask for it at a node of its heir: the plan, what speaks against it, the decision; and
 * giving the region its log again. Rule: a region that is in touch is evacuated by its own nodes; what is decided goes to the heir's log, and
 * what becomes of it is the nodes' (replicator/core/successions.ts).
 */
import { defined } from "../../replicator/core/assert.ts";
import type { LinkState, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { forcedKey } from "../../replicator/core/successions.ts";
import { sealOf } from "../../replicator/core/seal.ts";
import { standing, successionKey, successionValue } from "../../replicator/core/succession.ts";
import type { Succession } from "../../replicator/core/succession.ts";
import type { EvacuatingOptions } from "./evacuating.ts";
import { NOT_READY, evacuationRefused } from "./failures.ts";
import type {
  EvacuationAnswer,
  EvacuationPlan,
  EvacuationRequest,
  LostPlan,
  PlanRefusal,
  RegionView,
  SuccessionView,
} from "./evacuation-view.ts";
import { isInTouch, refusal } from "./plan.ts";
import type { Outcome } from "./service.ts";

type Asked = Promise<Outcome<EvacuationAnswer>>;

/** What is copied, or was, comes from the region itself: its snapshots do, too. */
const IN_TOUCH: ReadonlySet<LinkState> = new Set(["live", "catching-up", "snapshotting"]);

export class Succeeding {
  readonly #options: EvacuatingOptions;
  readonly #view: (region: Region) => RegionView;

  constructor(options: EvacuatingOptions, view: (region: Region) => RegionView) {
    this.#options = options;
    this.#view = view;
  }

  /** Who succeeds the region, or did last, by the newest decision of all logs; a fence that was given up says why. */
  succession(region: Region): SuccessionView | undefined {
    const { replica } = this.#options.node;
    const latest = sealOf(replica.folds, region);
    if (latest === undefined) return undefined;
    const { heir, decision } = latest;
    const { phase, generation, base } = decision;
    const settings = replica.fold(heir)?.settings;
    const { atMs, reason } = defined(settings?.get(successionKey(region)), "a succession is a decision");
    const shown = phase === "yield" && base === undefined ? "given-up" : phase;
    return { heir, generation, phase: shown, sinceMs: atMs, reason };
  }

  /** Whether this region's log stands for the region, or asks to. */
  isHeirOf(region: Region): boolean {
    const { node } = this.#options;
    const own = defined(node.replica.fold(node.region), "a replica has every region");
    const decision = region === node.region ? undefined : standing(own, region);
    return decision !== undefined && decision.phase !== "yield";
  }

  /** What speaks against deciding anything about a region that another stands for, or asks to. */
  standsFor(region: Region): PlanRefusal | undefined {
    const { heir, phase } = this.succession(region) ?? {};
    if (phase !== "fence" && phase !== "succeed") return undefined;
    return refusal("succeeded", `${heir} has succeeded ${region}, or asks to: that has to end first`);
  }

  async evacuate(request: EvacuationRequest): Asked {
    const { node } = this.#options;
    if (!node.caughtUp) return NOT_READY;
    const { region: lost } = request;
    const against = this.#againstEvacuating(lost);
    if (request.untilMs !== undefined)
      against.push(refusal("no-end", `${lost} gets its log again when it is back, not at a time`));
    const plan = this.#plan(lost, against);
    const { generation = 0 } = this.succession(lost) ?? {};
    const fence = { phase: "fence", generation: generation + 1, base: undefined, since: 0 } as const;
    return this.#decide(request, plan, fence);
  }

  async restore(request: EvacuationRequest): Asked {
    const { node, clock } = this.#options;
    if (!node.caughtUp) return NOT_READY;
    const { region: lost } = request;
    const own = defined(node.replica.fold(node.region), "a replica has every region");
    const decision = defined(standing(own, lost), "it was asked before whether one stands");
    const isBack = decision.phase === "fence" || node.successions.isBack(lost, decision, clock());
    const detail = `${lost} has not copied ${node.region}'s log up to its end for 5 s`;
    const plan = this.#plan(lost, isBack ? [] : [refusal("not-back", detail, true)]);
    return this.#decide(request, plan, { ...decision, phase: "yield" });
  }

  async #decide(
    { region, dryRun, force, by, reason }: EvacuationRequest,
    plan: EvacuationPlan,
    decision: Succession,
  ): Asked {
    const { decide, waiters } = this.#options;
    const refused = plan.refusals.filter(({ canForce }) => !canForce || !force);
    if (dryRun) return { ok: true, value: { plan, evacuation: this.#view(region) } };
    if (refused.length > 0) return evacuationRefused(refused);
    const said = successionValue({ ...decision, since: 0 });
    let written = await decide(successionKey(region), said, by, reason);
    // Behind the fence: forced is only one that stands.
    if (written.ok && force && decision.phase === "fence")
      written = await decide(forcedKey(region), String(decision.generation), by, reason);
    if (!written.ok) return written;
    const { token } = written.value;
    await waiters.wait(token, LIMITS.appendTimeoutMs);
    return { ok: true, value: { plan, evacuation: this.#view(region), token } };
  }

  #plan(lost: Region, against: readonly PlanRefusal[]): EvacuationPlan {
    const { node, clock } = this.#options;
    const { replica, matrix } = node;
    const late = matrix.rows(clock()).filter(({ state }) => state !== "live");
    return {
      users: replica.homed(lost),
      sessions: replica.online.byRegion.get(lost)?.sessions ?? 0,
      positions: Object.fromEntries(replica.folds.map((fold) => [fold.region, fold.position])),
      late: late.map(({ origin, replica: to, state, reason, eventsBehind }) => {
        return { origin, replica: to, state, reason, eventsBehind };
      }),
      refusals: against,
      lost: this.#lost(lost),
    };
  }

  #lost(lost: Region): LostPlan {
    const { node, clock } = this.#options;
    const { logId, position } = defined(node.replica.fold(lost), "a replica has every region");
    const folded: Record<Region, number> = {};
    for (const peer of this.#others(lost)) {
      const echo = node.matrix.progressOf(peer, lost);
      if (echo?.logId === logId) folded[peer] = echo.position;
    }
    const ageMs = node.matrix.watermarkAgeMs(lost, clock());
    return { position, folded, watermarkAgeMs: Number.isFinite(ageMs) ? Math.round(ageMs) : null };
  }

  #others(lost: Region): Region[] {
    const { region, replica } = this.#options.node;
    return replica.regions.filter((one) => one !== lost && one !== region);
  }

  #againstEvacuating(lost: Region): PlanRefusal[] {
    const { node, clock } = this.#options;
    const { region, replica, matrix } = node;
    const now = clock();
    const found: PlanRefusal[] = [];
    const link = matrix.linkState(lost, now);
    if ((link !== undefined && IN_TOUCH.has(link)) || matrix.silentMs(lost, now) <= LIMITS.staleAfterMs)
      found.push(
        refusal("in-touch", `${lost} is, or was until now, in touch with ${region}: evacuate it there`),
      );
    const stands = this.standsFor(lost);
    if (stands !== undefined) found.push(stands);
    const deputed = replica.regions.filter((one) => one !== lost && isStandIn(this.succession(one), lost));
    if (deputed.length > 0)
      found.push(refusal("stands-in", `${lost} itself goes on with the log of ${deputed.join(", ")}`));
    const rows = matrix.rows(now);
    const others = this.#others(lost);
    const inTouch = 1 + others.filter((peer) => isInTouch(rows, region, peer)).length;
    if (2 * inTouch <= replica.regions.length)
      found.push(
        refusal(
          "no-quorum",
          `${inTouch} of ${replica.regions.length} regions are in touch, with this one`,
          true,
        ),
      );
    found.push(...this.#further(lost, others));
    return found;
  }

  #further(lost: Region, others: readonly Region[]): PlanRefusal[] {
    const { region } = this.#options.node;
    const { position, folded } = this.#lost(lost);
    return others.flatMap((peer) => {
      const more = (folded[peer] ?? 0) - position;
      if (more <= 0) return [];
      const detail = `${region} is behind: ${peer} has ${more} more frames of ${lost}, evacuate to ${peer}`;
      return [refusal("heir-behind", detail, true)];
    });
  }
}

function isStandIn(view: SuccessionView | undefined, heir: Region): boolean {
  return view?.heir === heir && view.phase === "succeed";
}
