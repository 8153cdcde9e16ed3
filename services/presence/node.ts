/**
 * One presence node put together: the service, its logs, its timers and its HTTP server. Used by the process (`main.ts`), by the
 * embedded demo and by tests.
 */
import { randomBytes } from "node:crypto";

import type { Position, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { LogStore, OriginLog, ReadableLog } from "../../replicator/log/port.ts";
import { LINKS_TOPIC, decodeReports } from "../../replicator/runtime/announcement.ts";
import { systemClock } from "../../replicator/runtime/clock.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Logger } from "../../replicator/runtime/logger.ts";
import { VERSION } from "../../replicator/runtime/version.ts";
import { buildApp } from "./app.ts";
import { Appender } from "./appender.ts";
import type { ApiKeys } from "./auth.ts";
import { Follower } from "./follow.ts";
import { Presence } from "./presence.ts";
import type { Counters, HealthCheck } from "./service.ts";

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
}

export interface RunningNode {
  /** Where HTTP is served, e.g. `http://127.0.0.1:7001`. */
  readonly url: string;
  readonly presence: Presence;
  stop(): Promise<void>;
}

/** Appends have failed for this long: the node says that it is not ready. */
const APPEND_FAILING_MS = 1_000;

/** Starts serving at once; `/readyz` turns ok when the logs are folded as far as they stood at the start. The store stays the caller's. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { region, peers, name, store, logger } = options;
  const clock = options.clock ?? systemClock;
  const appender = new Appender({ region, node: name, clock, connected: () => store.connected() });
  const presence = new Presence({
    region,
    regions: [region, ...peers],
    clock,
    append: (commands) => appender.append(commands),
    canAppend: () => store.connected() && appender.failingMs() === 0,
    mintSession: () => randomBytes(9).toString("base64url"),
    random: Math.random,
    ...(options.ttlMs === undefined ? {} : { ttlMs: options.ttlMs }),
    ...(options.heartbeatMs === undefined ? {} : { heartbeatMs: options.heartbeatMs }),
  });
  const troubles = new Map<Region, string>();
  const followers: Follower<ReadableLog>[] = [follow(region)];
  for (const peer of peers) followers.push(follow(peer));

  const unlisten = store.listen(LINKS_TOPIC, (payload) => {
    const reports = decodeReports(payload);
    if (reports === undefined) presence.tally.refusedFrame("malformed-announcement");
    for (const report of reports ?? []) presence.step({ kind: "link", report });
  });
  const app = buildApp({
    service: presence,
    status: { health, counters },
    keys: options.keys,
    logger,
    version: VERSION,
  });
  const url = await app.listen({ host: options.http.host, port: options.http.port });
  for (const follower of followers) follower.start();
  const timer = setInterval(() => {
    presence.tick();
    if (!presence.node.caughtUp && followers.every(isCaughtUp)) {
      presence.step({ kind: "caught-up" });
      logger.info({ event: "caught-up", applied: Object.fromEntries(presence.applied()) });
    }
  }, LIMITS.tickMs);
  return {
    url,
    presence,
    stop: async () => {
      clearInterval(timer);
      unlisten();
      appender.stop();
      await app.close();
      await Promise.all(followers.map((follower) => follower.stop()));
    },
  };

  function follow(origin: Region): Follower<ReadableLog> {
    const own = origin === region;
    return new Follower<ReadableLog>({
      region: origin,
      open: async () => {
        if (!own) return store.openCopy(origin, { create: false });
        const opened = await store.openLog(origin, { create: true });
        if (opened.ok) useLog(opened.log);
        return opened;
      },
      position: () => positionOf(origin),
      fold: (position, frame) => presence.folded(origin, position, frame),
      trouble: (detail) => {
        if (detail !== (troubles.get(origin) ?? "")) {
          logger[detail === "" ? "info" : "warn"]({
            event: detail === "" ? "log-resumed" : "log-trouble",
            log: origin,
            detail,
          });
        }
        troubles.set(origin, detail);
      },
    });
  }

  function useLog(log: OriginLog): void {
    appender.use(log);
    troubles.set(region, "");
  }

  function positionOf(origin: Region): Position {
    return presence.node.replica.fold(origin)?.position ?? 0;
  }

  function isCaughtUp(follower: Follower<ReadableLog>): boolean {
    return follower.startHead !== undefined && positionOf(follower.region) >= follower.startHead;
  }

  function health(): HealthCheck[] {
    const behind = followers.filter((follower) => !isCaughtUp(follower)).map((follower) => follower.region);
    const trouble = troubles.get(region) ?? "";
    const failingMs = appender.failingMs();
    return [
      { name: "nats", ok: store.connected(), detail: store.connected() ? store.describe() : "not connected" },
      {
        name: "log",
        ok: trouble === "",
        detail: trouble === "" ? `LOG_${region} at ${positionOf(region)}` : trouble,
      },
      {
        name: "catch-up",
        ok: presence.node.caughtUp,
        detail: presence.node.caughtUp ? "done" : `still folding ${behind.join(", ")}`,
      },
      {
        name: "append",
        ok: failingMs < APPEND_FAILING_MS,
        detail: failingMs === 0 ? "ok" : `nothing could be appended for ${(failingMs / 1000).toFixed(1)} s`,
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
    };
  }
}
