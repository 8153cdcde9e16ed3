/**
 * One seed, from the empty logs to the verdict: chaos for a number of events, then everything heals, and within a bound of virtual time
 * every replica must show what the clients were told. Rule: a run is a function of its seed, its length and its planted bugs.
 */
import type { Bugs } from "./bugs.ts";
import { Askers } from "./askers.ts";
import { Checks } from "./checks.ts";
import { Clients } from "./clients.ts";
import { unconverged } from "./converged.ts";
import { finalFault, verifyAll } from "./final.ts";
import { Incidents } from "./incidents.ts";
import { Ledger } from "./ledger.ts";
import { draw } from "./settings.ts";
import type { FaultKind, Scenario } from "./settings.ts";
import { World } from "./world.ts";

/** After healing, all must have converged within this. */
export const CONVERGED_WITHIN_MS = 30_000;
/** Where regions were lost: a fence stands for up to 30 s, and from its end on all converge within a minute. */
const RETURNED_WITHIN_MS = 90_000;
const LOOK_EVERY_MS = 200;

export interface Verdict {
  readonly seed: number;
  readonly hash: string;
  /** Events in all. */
  readonly events: number;
  readonly virtualMs: number;
  readonly healedInMs: number | undefined;
  readonly violation: string | undefined;
  readonly fired: ReadonlyMap<FaultKind, number>;
  readonly counts: Readonly<Record<string, number>>;
  readonly trace: readonly string[];
}

export interface RunOptions extends Scenario {
  readonly bugs?: Bugs;
  readonly trace?: boolean;
}

export async function runSeed(options: RunOptions): Promise<Verdict> {
  const { seed, events, bugs, trace = false } = options;
  const world = new World(draw(options), bugs);
  const { machine } = world;
  machine.tracing = trace;
  world.start();
  const ledger = new Ledger();
  const clients = new Clients(world, ledger);
  const askers = new Askers(world, () => clients.quiet);
  const checks = new Checks(world, ledger, clients);
  const incidents = new Incidents(world);
  await machine.run(Number.POSITIVE_INFINITY, events);
  machine.trace(() => "── healed ──");
  const healedAtMs = machine.nowMs;
  clients.quiet = true;
  incidents.heal();
  checks.healed();
  const withinMs = world.settings.incidents.has("region-lost") ? RETURNED_WITHIN_MS : CONVERGED_WITHIN_MS;
  let left: string | undefined = "not looked at yet";
  while (machine.failure === undefined && left !== undefined) {
    await machine.run(machine.nowMs + LOOK_EVERY_MS);
    left = unconverged(world, ledger, clients);
    if (left !== undefined && machine.nowMs - healedAtMs > withinMs) {
      machine.fail(`not converged ${withinMs} ms after healing: ${left}`);
    }
  }
  const healedInMs = machine.failure === undefined ? machine.nowMs - healedAtMs : undefined;
  if (machine.failure === undefined) await verifyAll(world);
  if (machine.failure === undefined) {
    const fault = checks.flips.left() ?? finalFault(world, ledger, askers);
    if (fault !== undefined) machine.fail(fault);
  }
  return {
    seed,
    hash: machine.hash.toString(16).padStart(8, "0"),
    events: machine.events,
    virtualMs: Math.round(machine.nowMs),
    healedInMs,
    violation: machine.failure,
    fired: world.fired.counts,
    counts: {
      ...clients.counts,
      ...askers.counts,
      ...incidents.counts,
      ...checks.counts,
      rehomed: rehomedBy(world),
    },
    trace: machine.recent,
  };
}

/** Users whom the nodes that are up gave over by themselves, each since its start. */
function rehomedBy({ nodes }: World): number {
  return nodes.reduce((sum, { presence }) => sum + (presence?.travellers.moved ?? 0), 0);
}
