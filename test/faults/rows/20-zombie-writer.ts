/**
 * Row 20: a node of cn is stopped (SIGSTOP), or what it sends to its nats-server is held up, with changes and moves of cn's users in its
 * hands; meanwhile another node of cn gives these users to us, which writes about them; then the first one goes on. Rule: what it appends is
 * behind the end of the records in cn's log: its changes are forwards to us and count there, its moves change nothing and are answered so;
 * no replica goes back to a lower epoch.
 */
import { RegionApi } from "../../../infra/demo/api.ts";
import type { Answer } from "../../../infra/demo/http.ts";
import { startClients, type Clients } from "../clients.ts";
import { pause } from "../health.ts";
import { followHomes } from "../homes.ts";
import { figuresOf, judge } from "../judge.ts";
import type { Entry } from "../ledger.ts";
import { soundness } from "../operator.ts";
import { atLeast, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import { natsEnd } from "../stage-region.ts";
import type { NodeProcess } from "../stage-process.ts";
import {
  askToMove,
  contestedIn,
  homesDiffering,
  move,
  untilKnown,
  writersFigures,
  type Moved,
} from "./support/moves.ts";

const ROUNDS = { quick: 2, full: 20 };
const USERS = 20;
const TTL_MS = 30_000;
/** From the first stale write to the stop: some are in the node's hands by then, some at its door. */
const BEFORE_STOP_MS = 4;
/** From when all nodes know a user until all of them know that: a watermark and its way. */
const SETTLED_MS = 1_000;
const PATIENCE_MS = 60_000;
const STALE = "busy";
/** Canaries are users of their own, whom nobody may ask for. */
const NODE_ENV = { ROLLCALL_CANARY_SECONDS: "0" };

export const row: Row = { row: 20, fault: "zombie writer: old home resumes", quick: true, run };

/** A user with a session at the old home and one at the new. */
interface Pair {
  readonly user: string;
  readonly old: Entry;
  readonly fresh: Entry;
}

interface Outcome {
  readonly user: string;
  /** What another node made of its own move. */
  readonly given: Moved;
  readonly staleChange: Answer;
  readonly staleMove: Moved;
}

interface Zombie {
  readonly node: NodeProcess;
  /** Waits longer than the node stands still. */
  readonly api: RegionApi;
  readonly silence: () => void;
  readonly hear: () => void;
}

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({
    ttlMs: TTL_MS,
    heartbeatMs: 1_000,
    rttMs: 80,
    localRttMs: 0,
    nodes: 2,
    env: { node: NODE_ENV },
  });
  const homesOf = await followHomes(stage);
  const clients = startClients(stage, { perSecond: 3 });
  const { nodes, locals } = stage.region("cn");
  const [node, local] = [nodes[1], locals[1]];
  if (node === undefined || local === undefined) throw new Error("cn has not two nodes");
  const zombie: Zombie = {
    node,
    api: new RegionApi(node.url, stage.client(PATIENCE_MS)),
    silence: () => local.setCut(`cn→${natsEnd("cn")}`),
    hear: () => local.setCut(false),
  };
  const outcomes: Outcome[] = [];
  for (let round = 0; round < ROUNDS[quick ? "quick" : "full"]; round++)
    outcomes.push(...(await wake(clients, zombie, round % 2 === 0 ? "held up" : "stopped")));
  await clients.quiet();
  const verdict = await judge(clients);

  const homes = await homesOf();
  const given = outcomes.filter((outcome) => outcome.given === "moved");
  const users = new Set(given.map(({ user }) => user));
  const late = homes.late.filter((one) => users.has(one.user) && one.node === "cn-node-2");
  // Of who logged out no node tells the home.
  const online = clients.ledger.open().filter(({ user }) => users.has(user));
  const differing = await homesDiffering(stage, homes, [...new Set(online.map(({ user }) => user))]);
  const lateOf = (kind: string): number => late.filter((one) => one.kind === kind).length;
  const answers = new Map<string, number>();
  for (const { staleChange, staleMove } of given) {
    const told = `${staleChange.ok ? staleChange.status : staleChange.reason}/${staleMove}`;
    answers.set(told, (answers.get(told) ?? 0) + 1);
  }
  say(`stale change/move: ${[...answers].map(([told, count]) => `${count} × ${told}`).join(", ")}`);
  for (const line of [
    ...verdict.examples,
    ...differing.slice(0, 3),
    ...contestedIn(homes, "moves").slice(0, 3),
  ])
    say(line);
  return [
    atLeast("users given away behind its back", given.length, outcomes.length / 2),
    atLeast("changes it appended too late", lateOf("update"), outcomes.length / 4),
    atLeast("moves it appended too late", lateOf("release"), outcomes.length / 4),
    exactly("of these moves, answered as done", given.filter((one) => one.staleMove === "moved").length, 0),
    exactly(
      "given users who are not at home in us",
      [...users].filter((user) => homes.homes.get(user)?.home !== "us").length,
      0,
    ),
    ...writersFigures(homes),
    exactly("released and not claimed", homes.releases - homes.claims, 0),
    atLeast("users whose homes the nodes were asked for", online.length, outcomes.length / 2),
    exactly("homes that a node tells otherwise", differing.length, 0),
    exactly("heartbeats refused", clients.counts().refusedHeartbeats, 0),
    ...(await soundness(stage)),
    ...figuresOf(verdict),
  ];
}

/** One round: the node has writes in its hands, the users go, it goes on. */
async function wake(clients: Clients, zombie: Zombie, how: "stopped" | "held up"): Promise<Outcome[]> {
  const { stage } = clients;
  const pairs = await logIn(clients);
  if (how === "held up") zombie.silence();
  const stale = pairs.map(async (pair) => {
    const [staleChange, staleMove] = await Promise.all([
      change(clients, zombie.api, pair.old),
      askToMove(zombie.api, pair.user, "eu"),
    ]);
    return { staleChange, staleMove };
  });
  await pause(BEFORE_STOP_MS, stage.signal);
  if (how === "stopped") zombie.node.pause();
  const given = await Promise.all(
    pairs.map(({ user }) => move(stage.region("cn").api, user, "us", stage.signal)),
  );
  await Promise.all(pairs.map(({ fresh }) => clients.change(fresh)));
  zombie.hear();
  if (how === "stopped") zombie.node.resume();
  const answers = await Promise.all(stale);
  for (const { old, fresh } of pairs) {
    old.busy = false;
    fresh.busy = false;
  }
  return pairs.flatMap(({ user }, i) => {
    const [one, answer] = [given[i], answers[i]];
    return one === undefined || answer === undefined ? [] : [{ user, given: one, ...answer }];
  });
}

/** At home in cn, as all regions know and have said, so that each node of cn would give them away. */
async function logIn(clients: Clients): Promise<Pair[]> {
  const logins = Array.from({ length: USERS }, async (): Promise<Pair> => {
    const old = await clients.login("cn");
    const fresh = old && (await clients.login("us", "cn", { user: old.user, device: "tablet" }));
    if (old === undefined || fresh === undefined) throw new Error("a login failed");
    old.busy = true;
    fresh.busy = true;
    return { user: old.user, old, fresh };
  });
  const pairs = await Promise.all(logins);
  await untilKnown(
    clients.stage,
    pairs.map(({ user }) => user),
  );
  await pause(SETTLED_MS, clients.stage.signal);
  return pairs;
}

/** Either outcome is right until it is answered. */
async function change(clients: Clients, api: RegionApi, entry: Entry): Promise<Answer> {
  entry.statuses = [...entry.statuses, STALE];
  const answer = await api.send("PATCH", `/v1/sessions/${entry.session}`, { status: STALE });
  if (answer.ok && answer.status === 200) clients.ledger.changed(entry, STALE, entry.token);
  return answer;
}
