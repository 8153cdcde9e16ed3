/**
 * One presence node put together: the service, its logs, its timers and its HTTP server. Used by the process (`main.ts`), by the
 * embedded demo and by tests.
 */
import { randomBytes } from "node:crypto";

import type { Region, UserId } from "../../replicator/core/commands.ts";
import type { LogStore } from "../../replicator/log/port.ts";
import { systemClock } from "../../replicator/runtime/clock.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Logger } from "../../replicator/runtime/logger.ts";
import { VERSION } from "../../replicator/runtime/version.ts";
import { SnapshotDecoder, encodeSnapshot } from "../../replicator/wire/snapshot-stream.ts";
import { friendsFeature } from "../friends/feature.ts";
import { logEndAt } from "./abreast.ts";
import { buildApp } from "./app.ts";
import { Appender } from "./appender.ts";
import type { ApiKeys } from "./auth.ts";
import { Capacity, watchHeap } from "./capacity.ts";
import { Engine } from "./engine.ts";
import type { EngineOptions } from "./engine.ts";
import { LostEnds } from "./lost-ends.ts";
import { operationsOf } from "./operations.ts";
import { Presence } from "./presence.ts";
import { HeadAsker } from "./heads.ts";
import { RelayDesk } from "./relay-desk.ts";
import { Relay } from "./relay.ts";
import type { Counters, HealthCheck, ReadOptions } from "./service.ts";

export interface NodeOptions {
  readonly region: Region;
  /** The other regions. */
  readonly peers: readonly Region[];
  /** Name of this node, unique in its region. */
  readonly name: string;
  readonly store: LogStore;
  readonly logger: Logger;
  readonly keys: ApiKeys;
  readonly http: { readonly host: string; readonly port: number };
  readonly clock?: Clock;
  readonly ttlMs?: number;
  readonly heartbeatMs?: number;
  readonly sessionsMax?: number;
  /** Logins in a row from one other region after which a user is homed there; 0: never. */
  readonly rehomeLogins?: number;
  /** How often the way to the other regions is checked by a friend request; never where left out. */
  readonly canaryMs?: number;
  /** How often snapshots are taken, and how much of its log the region keeps; the limits' values where left out. */
  readonly keep?: Pick<EngineOptions, "snapshotMs" | "logBytesMax" | "logAgeMaxMs">;
}

export interface RunningNode {
  /** Where HTTP is served, e.g. `http://127.0.0.1:7001`. */
  readonly url: string;
  readonly presence: Presence;
  readonly engine: Engine;
  stop(): Promise<void>;
}

/** A fresh, unguessable id. */
function mint(): string {
  return randomBytes(9).toString("base64url");
}

/** Appends have failed for this long: the node says that it is not ready. */
const APPEND_FAILING_MS = 1_000;

/** Starts serving at once; `/readyz` turns ok when the logs are folded as far as they stood at the start. The store stays the caller's. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { region, peers, name, store, logger } = options;
  const clock = options.clock ?? systemClock;
  const heap = watchHeap();
  const appender = new Appender({ region, node: name, clock, connected: () => store.connected() });
  const presence = new Presence({
    region,
    regions: [region, ...peers],
    clock,
    append: (commands) => appender.append(commands),
    canAppend: () => store.connected() && appender.canAppend(),
    secondsToOverrun: (peer) => engine.retention.secondsToOverrun(peer, clock().monoMs),
    recheck: () => engine.recheck(),
    logEnd: logEndAt(store, region),
    heads: (waitMs) => asker.ask(waitMs),
    elsewhere: (asked, whom) => relay.ask(asked, whom),
    capacity: new Capacity(options.sessionsMax, heap),
    integrity: (effect) => engine.trust.heard(effect),
    mintSession: mint,
    random: Math.random,
    ...(options.ttlMs === undefined ? {} : { ttlMs: options.ttlMs }),
    ...(options.rehomeLogins === undefined ? {} : { rehomeLogins: options.rehomeLogins }),
    ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
  });
  const lostEnds = new LostEnds({
    region,
    node: name,
    store: store.snapshots(),
    clock,
    logger,
    replica: () => presence.node.replica,
    alive: (session) => presence.alive(session),
    write: (commands) =>
      presence.homeward.append(commands.map((command) => presence.homeward.address(command))),
    reconcile: () => presence.healing.hurry(),
  });
  const engine = new Engine({
    region,
    peers,
    name,
    store,
    appender,
    aside: lostEnds,
    core: presence,
    codec: { encode: encodeSnapshot, decoder: (take) => new SnapshotDecoder(take) },
    clock,
    logger,
    malformed: () => presence.tally.refusedFrame("malformed-announcement"),
    ...options.keep,
  });
  const regions = [region, ...peers];
  const malformed = (): void => presence.tally.refusedFrame("malformed-announcement");
  const asker = new HeadAsker({ node: name, regions, store, malformed });
  const relay = new Relay({ region, peers, store, clock, mint });
  const { canaryMs: everyMs = 0 } = options;
  const friends = friendsFeature({
    presence,
    clock,
    ...(everyMs > 0 && {
      canary: { peers, name, everyMs, elsewhere: (asked, whom) => relay.ask(asked, whom) },
    }),
  });
  const answers = {
    ready: (): boolean => presence.ready(),
    meet: (asked: ReadOptions, users: readonly UserId[]) => presence.reads.meet(asked, users),
    followsHeirs: () => presence.reads.followsHeirs(),
    presence: (user: UserId) => presence.presence(user),
    answer: (question: unknown) => friends.answer(question),
    applied: () => presence.applied(),
    oldestMs: () => presence.reads.oldestMs(),
  };
  const relayDesk = new RelayDesk({ region, peers, store, clock, answers });
  const app = buildApp({
    service: presence,
    status: { health, counters },
    operations: operationsOf(engine, lostEnds),
    keys: options.keys,
    features: [friends],
    logger,
    version: VERSION,
  });
  const url = await app.listen({ host: options.http.host, port: options.http.port });
  engine.start();
  return {
    url,
    presence,
    engine,
    stop: async () => {
      heap.stop();
      friends.stop();
      appender.stop();
      asker.stop();
      relay.stop();
      relayDesk.stop();
      await app.close();
      await lostEnds.stop();
      await engine.stop();
    },
  };

  function health(): HealthCheck[] {
    const trouble = engine.troubles.get(region) ?? "";
    const position = presence.node.replica.fold(region)?.position ?? 0;
    const failingMs = appender.failingMs();
    return [
      { name: "nats", ok: store.connected(), detail: store.connected() ? store.describe() : "not connected" },
      {
        name: "log",
        ok: trouble === "",
        detail: trouble === "" ? `LOG_${region} at ${position}` : trouble,
      },
      {
        name: "catch-up",
        ok: presence.node.caughtUp,
        detail: presence.node.caughtUp ? "done" : engine.startingWith,
      },
      {
        name: "append",
        ok: failingMs < APPEND_FAILING_MS,
        detail:
          appender.withdrawn ??
          (failingMs === 0 ? "ok" : `nothing could be appended for ${(failingMs / 1000).toFixed(1)} s`),
      },
    ];
  }

  function counters(): Counters {
    const { tally } = presence;
    return {
      liveSessions: presence.liveSessions,
      heartbeats: tally.heartbeats,
      sessionsOpened: tally.opened,
      sessionsEnded: tally.ended,
      appendedFrames: appender.stats.frames,
      appendedCommands: appender.stats.commands,
      appendFailures: Object.fromEntries(appender.stats.failures),
      appendQueueBytes: appender.queuedBytes,
      foldedFrames: tally.foldedFrames,
      foldedCommands: tally.foldedCommands,
      refusedCommands: Object.fromEntries(presence.node.replica.refusals),
      refusedFrames: tally.refusedFrames,
      pendingForwards: presence.node.replica.provisional.size,
      reconciled: tally.reconciled,
      integrity: engine.trust.stats,
      snapshots: engine.housekeeping.stats,
      rehomed: presence.travellers.moved,
      reads: tally.reads,
      relayed: { ...relay.stats, ...relayDesk.stats },
    };
  }
}
