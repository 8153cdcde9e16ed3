/**
 * Makes a failing run small: fewer events of chaos, fewer kinds of fault, fewer users. Rule: what is left still breaks the same
 * invariant, and is a scenario like any other: its command line runs it again.
 */
import { judgeOnce } from "./sweep.ts";
import { DOINGS, USERS } from "./settings.ts";
import type { FaultKind, Part, Scenario } from "./settings.ts";
import type { RunOptions, Verdict } from "./run.ts";

export interface Shrunk {
  readonly scenario: Scenario;
  /** Of the run that is left, traced. */
  readonly verdict: Verdict;
  readonly runs: number;
}

/** `planted` is for the bugs of the simulation itself; those of the shipped code are planted by the caller. */
export async function shrink(
  failing: Scenario,
  violation: string,
  withinMs: number,
  planted: Pick<RunOptions, "bugs"> = {},
): Promise<Shrunk> {
  const untilMs = performance.now() + withinMs;
  let scenario = failing;
  let verdict: Verdict | undefined;
  let runs = 0;
  /** Goes on from there if it still fails. */
  const take = async (smaller: Scenario): Promise<boolean> => {
    if (performance.now() > untilMs) return false;
    runs += 1;
    const tried = await judgeOnce({ ...smaller, ...planted });
    if (tried.violation === undefined || kindOf(tried.violation) !== kindOf(violation)) return false;
    scenario = smaller;
    verdict = tried;
    return true;
  };

  await take({ ...failing, users: failing.users ?? USERS });
  let before: Scenario | undefined;
  while (before !== scenario && performance.now() < untilMs) {
    before = scenario;
    await fewerEvents();
    await fewerFaults();
    await fewerUsers();
  }
  return {
    scenario,
    verdict: await judgeOnce({ ...scenario, ...planted, trace: true }),
    runs,
  };

  async function fewerEvents(): Promise<void> {
    // Chaos that goes on after the failure shows nothing.
    if (verdict !== undefined && verdict.events < scenario.events)
      await take({ ...scenario, events: verdict.events });
    for (let less = scenario.events >> 1; less >= 16; less >>= 1) {
      while (scenario.events > less && (await take({ ...scenario, events: scenario.events - less })));
    }
  }

  async function fewerFaults(): Promise<void> {
    for (const doing of DOINGS)
      if (scenario.without?.includes(doing) !== true) await take(switchedOff(scenario, [doing]));
    const asked: readonly FaultKind[] = scenario.also ?? [];
    const left = [...(verdict?.fired.keys() ?? [])].filter((kind) => !asked.includes(kind));
    if (left.length > 1 && (await take(switchedOff(scenario, left)))) return;
    for (const kind of left) await take(switchedOff(scenario, [kind]));
    for (const kind of scenario.also ?? [])
      await take({ ...scenario, also: (scenario.also ?? []).filter((one) => one !== kind) });
  }

  async function fewerUsers(): Promise<void> {
    for (let less = usersOf(scenario) >> 1; less >= 1; less >>= 1) {
      while (usersOf(scenario) > less && (await take({ ...scenario, users: usersOf(scenario) - less })));
    }
  }
}

/** The arguments that run it again. */
export function argumentsOf({ seed, events, also = [], without = [], users = USERS }: Scenario): string {
  const parts = [`--seed ${seed}`, `--events ${events}`];
  if (also.length > 0) parts.push(`--with ${also.join()}`);
  if (without.length > 0) parts.push(`--without ${without.join()}`);
  if (users !== USERS) parts.push(`--users ${users}`);
  return parts.join(" ");
}

function switchedOff(scenario: Scenario, kinds: readonly Part[]): Scenario {
  return { ...scenario, without: [...new Set([...(scenario.without ?? []), ...kinds])] };
}

function usersOf({ users = USERS }: Scenario): number {
  return users;
}

/** The invariant, or how it failed. */
function kindOf(violation: string): string {
  const [kind = ""] = violation.split(":");
  return kind;
}
