/**
 * Row 19: 1,000 users (200 quick) are moved to other homes, by operators who ask at several regions and nodes at once, while they log in and
 * change elsewhere, one region is evacuated and restored, links are cut and nodes killed, all drawn by a seed that is told
 * (what meets what is a matter of the machine). Rule: whoever races, each user has one home in the end, the same at every node, and at
 * each epoch of a move one log alone wrote the record; sessions live on.
 */
import { startClients, type Clients } from "../clients.ts";
import { pause } from "../health.ts";
import { followHomes } from "../homes.ts";
import { figuresOf, judge } from "../judge.ts";
import { atLeast, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { Stage } from "../stage.ts";
import { inParallel } from "./support/caller.ts";
import { draw, seeded, type Random } from "./support/hostile.ts";
import {
  askToMove,
  contestedIn,
  decide,
  homesDiffering,
  move,
  untilKnown,
  untilState,
  writersFigures,
  type Moved,
} from "./support/moves.ts";

const USERS = { quick: 200, full: 1_000 };
const WIDTH = 24;
const STEPS_MAX = 4;
const TTL_MS = 15_000;
const EVACUATED = "eu";
const HEIR = "us";
/** Longest: a cut and a pause between two faults, in milliseconds. */
const CUT_MS = 1_500;
const BETWEEN_MS = 1_500;
const EVACUATED_MS = 4_000;
const RESTORED_MS_MAX = 120_000;
/** Of the moves that are wanted; a few ask in vain while a link is cut. */
const MOVES_MIN = 0.8;
/** Canaries are users of their own, whom nobody may ask for. */
const NODE_ENV = { ROLLCALL_CANARY_SECONDS: "0" };

export const row: Row = {
  row: 19,
  fault: "home migration race, 1,000 interleavings",
  quick: true,
  run,
};

interface Race {
  readonly stage: Stage;
  readonly clients: Clients;
  readonly random: Random;
  readonly asked: Map<Moved, number>;
}

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const count = USERS[quick ? "quick" : "full"];
  const seed = Math.floor(Math.random() * 2 ** 31);
  say(`seed ${seed}`);
  const stage = await begin({
    ttlMs: TTL_MS,
    heartbeatMs: 1_000,
    rttMs: 40,
    nodes: 2,
    env: { node: NODE_ENV },
  });
  const homesOf = await followHomes(stage);
  const clients = startClients(stage, { perSecond: 5, sessionsMax: 2 * count });
  const random = seeded(seed);
  const race: Race = { stage, clients, random, asked: new Map() };
  const users = await logIn(race, count);
  await untilKnown(stage, users);

  const over = new AbortController();
  const racing = inParallel(users.length, WIDTH, (i) =>
    interleave({ ...race, random: seeded(seed + i) }, users[i] ?? ""),
  ).finally(() => over.abort());
  const all = [breakThings(race, over.signal, quick), racing, evacuateAndRestore(stage)] as const;
  stage.onStop(async () => {
    over.abort();
    await Promise.allSettled(all);
  });
  const [broken] = await Promise.all(all);
  await clients.quiet();
  const verdict = await judge(clients);
  const homes = await homesOf();
  const online = new Set(clients.ledger.open().map(({ user }) => user));
  const differing = await homesDiffering(stage, homes, [...online]);
  const asked = [...race.asked].map(([moved, times]) => `${times} × ${moved}`).join(", ");
  say(`moves asked for: ${asked}; ${homes.late.length} commands came late; ${broken} faults`);
  say(
    `${contestedIn(homes, "first").length} first epochs were begun again at a new home, before its claim came`,
  );
  for (const line of [
    ...clients.counts().reasons.keys(),
    ...verdict.examples,
    ...differing.slice(0, 3),
    ...contestedIn(homes, "moves").slice(0, 3),
  ])
    say(line);
  return [
    exactly("users whose moves raced", users.length, count),
    atLeast("moves", homes.releases, Math.ceil(MOVES_MIN * count)),
    atLeast("races lost", race.asked.get("not-home") ?? 0, Math.ceil(count / 20)),
    atLeast("cuts and kills", broken, quick ? 1 : 5),
    ...writersFigures(homes),
    exactly("released and not claimed", homes.releases - homes.claims, 0),
    exactly("homes that a node tells otherwise", differing.length, 0),
    exactly("users without a home", users.filter((user) => !homes.homes.has(user)).length, 0),
    exactly("heartbeats refused", clients.counts().refusedHeartbeats, 0),
    ...figuresOf(verdict),
  ];
}

/** Users at every home, connected there or elsewhere. */
async function logIn({ stage, clients, random }: Race, count: number): Promise<string[]> {
  const names = stage.regions.map(({ name }) => name);
  const users: string[] = [];
  await inParallel(count, WIDTH, async () => {
    const entry = await clients.login(draw(names, random), draw(names, random));
    if (entry === undefined)
      throw new Error(`a login failed: ${[...clients.counts().reasons.keys()].join()}`);
    users.push(entry.user);
  });
  return users;
}

/** What happens to one user: moves, races of moves, logins elsewhere, in an order of its own. */
async function interleave(race: Race, user: string): Promise<void> {
  const { stage, clients, random, asked } = race;
  const names = stage.regions.map(({ name }) => name);
  const steps = 2 + Math.floor(random() * (STEPS_MAX - 1));
  for (let step = 0; step < steps; step++) {
    const told = await clients.api(draw(names, random)).presence(user);
    const home = (told.ok ? told.value.home : undefined) ?? draw(names, random);
    const elsewhere = names.filter((name) => name !== home);
    const what = random();
    const moves: Promise<Moved>[] = [];
    if (what < 0.2) await clients.login(draw(names, random), undefined, { user, device: `tablet-${step}` });
    else if (what < 0.5)
      moves.push(move(stage.region(home).api, user, draw(elsewhere, random), stage.signal));
    else moves.push(...atOnce(race, user, home, what < 0.75 ? [home] : names));
    for (const moved of await Promise.all(moves)) asked.set(moved, (asked.get(moved) ?? 0) + 1);
  }
}

/** Every node of these regions is asked at the same time to give the user to another region; one asks until it is done. */
function atOnce(
  { stage, random }: Race,
  user: string,
  home: string,
  regions: readonly string[],
): Promise<Moved>[] {
  return regions.flatMap((at) =>
    stage.region(at).nodes.map(({ api }, i) => {
      const targets = stage.regions.map(({ name }) => name).filter((name) => name !== at);
      const to = draw(targets, random);
      return at === home && i === 0 ? move(api, user, to, stage.signal) : askToMove(api, user, to);
    }),
  );
}

async function evacuateAndRestore(stage: Stage): Promise<void> {
  await decide(stage, EVACUATED, "evacuate", { to: HEIR, reason: "row 19" });
  await pause(EVACUATED_MS, stage.signal);
  await decide(stage, EVACUATED, "restore", { reason: "row 19" });
  await untilState(stage, EVACUATED, "home", RESTORED_MS_MAX);
}

/** Cuts a link or kills a node, again and again; how often. When it is over, all is whole. */
async function breakThings({ stage, random }: Race, over: AbortSignal, quick: boolean): Promise<number> {
  const names = stage.regions.map(({ name }) => name);
  let broken = 0;
  while (!over.aborted) {
    broken += 1;
    if (random() < 0.5) {
      const one = draw(names, random);
      const other = draw(
        names.filter((name) => name !== one),
        random,
      );
      stage.wan(one, other).cut();
      await pause(CUT_MS * random(), stage.signal);
      stage.wan(one, other).heal();
    } else {
      // The load calls the first node: in the short form it is left alone, so that no call has to be waited for.
      const { nodes } = stage.region(draw(names, random));
      await draw(quick ? nodes.slice(1) : nodes, random).restart();
    }
    await pause(BETWEEN_MS * random(), stage.signal);
  }
  await stage.linksLive();
  return broken;
}
