/**
 * The verdict after a fault: what the public API of every region says of every session, against the ledger.
 * Rule: every open session is shown in every region with a right status, nothing else is shown, and all regions say the same. What is
 * still otherwise when the patience is over is lost, or a ghost.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Presence } from "../../infra/demo/api.ts";
import type { Clients } from "./clients.ts";
import { duplicatesIn } from "./logs.ts";
import type { Ledger } from "./ledger.ts";
import { SUMMED, atLeast, exactly, type Figure } from "./row.ts";

const LOOK_EVERY_MS = 100;
const EXAMPLES_KEPT = 5;
/** A row that acknowledged fewer writes than this has shown nothing. */
const ACKNOWLEDGED_MIN = 20;

export interface JudgeOptions {
  /** Monotonic; when healing began, from which `convergedMs` counts. Default now. */
  readonly healedMs?: number;
  /** How long after `healedMs` to wait until everything is as it must be; what is wrong then is a finding. Default 60 s. */
  readonly patienceMs?: number;
}

export interface Verdict {
  readonly acknowledged: number;
  /** Open sessions that a region does not show, or shows with a wrong status. */
  readonly lost: number;
  /** Frames stored twice in a log, and sessions listed twice. */
  readonly appliedTwice: number;
  /** Sessions shown that are closed, expired, or were never acknowledged. */
  readonly ghosts: number;
  /** Users of whom two regions say different things. */
  readonly different: number;
  readonly falseOffline: number;
  readonly lowerEpochs: number;
  readonly regressions: number;
  /** From healing until every region showed all that is open and nothing that was logged out; the patience if never. */
  readonly convergedMs: number;
  /** From healing until nothing was shown any more that has no heartbeats; the patience if never. */
  readonly ghostFreeMs: number;
  /** The first findings, in words. */
  readonly examples: readonly string[];
}

interface Finding {
  readonly lost: readonly string[];
  /** Their logout was acknowledged. */
  readonly undead: readonly string[];
  /** Nobody has sent heartbeats for them since long: logouts without an answer, logins without an answer. */
  readonly expiring: readonly string[];
  readonly twice: readonly string[];
  readonly different: readonly string[];
}

/** Call it when the load is quiet. Goes on looking until all is well or the patience is over. */
export async function judge(clients: Clients, options: JudgeOptions = {}): Promise<Verdict> {
  const healedMs = options.healedMs ?? performance.now();
  const patienceMs = options.patienceMs ?? 60_000;
  let convergedMs: number | undefined;
  let finding: Finding;
  let tookMs: number;
  for (;;) {
    clients.stage.signal.throwIfAborted();
    finding = await look(clients);
    tookMs = performance.now() - healedMs;
    const converged =
      finding.lost.length + finding.undead.length + finding.twice.length === 0 &&
      finding.different.length === 0;
    if (!converged) convergedMs = undefined;
    else convergedMs ??= tookMs;
    if ((converged && finding.expiring.length === 0) || tookMs > patienceMs) break;
    await sleep(LOOK_EVERY_MS, undefined, { signal: clients.stage.signal });
  }
  const storedTwice = await Promise.all(
    clients.stage.regions.map(({ name, nats }) => duplicatesIn(nats.url, name)),
  );
  const { readers, ledger } = clients;
  const { lost, undead, expiring, twice, different } = finding;
  return {
    acknowledged: ledger.acknowledged,
    lost: lost.length,
    appliedTwice: storedTwice.flat().length + twice.length,
    ghosts: undead.length + expiring.length,
    different: different.length,
    falseOffline: readers.falseOffline,
    lowerEpochs: readers.lowerEpochs,
    regressions: readers.regressions,
    convergedMs: Math.round(convergedMs ?? patienceMs),
    ghostFreeMs: Math.round(expiring.length === 0 ? tookMs : patienceMs),
    examples: [lost, undead, expiring, storedTwice.flat(), twice, different, readers.examples].flatMap(
      (each) => each.slice(0, EXAMPLES_KEPT),
    ),
  };
}

/** The figures every row with a load asserts, added up where it had several; a row adds its own. */
export function figuresOf(...verdicts: readonly Verdict[]): Figure[] {
  const sum = (of: (verdict: Verdict) => number): number =>
    verdicts.reduce((total, verdict) => total + of(verdict), 0);
  return [
    exactly(
      SUMMED.acknowledgedLost,
      sum(({ lost }) => lost),
      0,
    ),
    exactly(
      SUMMED.appliedTwice,
      sum(({ appliedTwice }) => appliedTwice),
      0,
    ),
    exactly(
      SUMMED.falseOffline,
      sum(({ falseOffline }) => falseOffline),
      0,
    ),
    exactly(
      SUMMED.lowerEpochsApplied,
      sum(({ lowerEpochs }) => lowerEpochs),
      0,
    ),
    exactly(
      "version regressions",
      sum(({ regressions }) => regressions),
      0,
    ),
    exactly(
      "ghosts",
      sum(({ ghosts }) => ghosts),
      0,
    ),
    exactly(
      "regions differ",
      sum(({ different }) => different),
      0,
    ),
    atLeast(
      "acked writes",
      sum(({ acknowledged }) => acknowledged),
      ACKNOWLEDGED_MIN,
    ),
  ];
}

async function look({ stage, ledger }: Clients): Promise<Finding> {
  const answers = await Promise.all(
    stage.regions.map(async ({ name, api }) => [name, await api.online()] as const),
  );
  const silent = answers.filter(([, answer]) => !answer.ok).map(([name]) => `${name} does not answer`);
  const shown = answers.flatMap(([name, answer]) => (answer.ok ? [[name, answer.value] as const] : []));
  const findings = shown.map(([name, presences]) => compare(name, presences, ledger));
  return {
    lost: [...silent, ...findings.flatMap(({ lost }) => lost)],
    undead: findings.flatMap(({ undead }) => undead),
    expiring: findings.flatMap(({ expiring }) => expiring),
    twice: findings.flatMap(({ twice }) => twice),
    different: differences(shown),
  };
}

/** What one region shows, against the ledger. */
function compare(region: string, presences: readonly Presence[], ledger: Ledger) {
  const missing = new Map(ledger.open().map((entry) => [entry.session, entry]));
  const seen = new Set<string>();
  const [lost, undead, expiring, twice]: [string[], string[], string[], string[]] = [[], [], [], []];
  for (const { user, sessions } of presences) {
    for (const { session, status } of sessions) {
      const entry = ledger.get(session);
      const what = `session ${session} of ${user} at ${region}`;
      missing.delete(session);
      if (seen.has(session)) twice.push(`${what} is listed twice`);
      seen.add(session);
      if (entry?.state === "over") undead.push(`${what} was logged out, and is shown`);
      else if (entry?.state !== "open") expiring.push(`${what} has no heartbeats, and is shown`);
      else if (!entry.statuses.includes(status))
        lost.push(`${what} is ${status}, acknowledged was ${entry.statuses.join(" or ")}`);
    }
  }
  for (const { user, session, region: connected } of missing.values())
    lost.push(`session ${session} of ${user}, connected to ${connected}, is not shown at ${region}`);
  return { lost, undead, expiring, twice };
}

/** Users of whom two regions say different things: home, epoch, version, status or sessions. */
function differences(shown: readonly (readonly [string, readonly Presence[]])[]): string[] {
  const texts = shown.map(([, presences]) => new Map(presences.map((one) => [one.user, asText(one)])));
  const users = new Set(texts.flatMap((text) => [...text.keys()]));
  return [...users].filter((user) => new Set(texts.map((text) => text.get(user))).size > 1);
}

function asText({ status, home, epoch, version, sessions }: Presence): string {
  const inOrder = sessions.map((one) => `${one.session}/${one.region}/${one.status}`).toSorted();
  return JSON.stringify([status, home, epoch, version, inOrder]);
}
