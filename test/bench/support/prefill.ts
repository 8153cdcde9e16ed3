/**
 * Fills a region's log before its node starts, by the shipped codec and log adapter: what a node folds at its start becomes its state.
 */
import { randomBytes } from "node:crypto";
import type { Open } from "../../../replicator/core/commands.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import { connectLogStore } from "../../../replicator/log/nats.ts";
import type { OriginLog } from "../../../replicator/log/port.ts";
import { FrameWriter } from "../../../replicator/wire/frame-writer.ts";
import { mustHold } from "./benchmark.ts";
import { untilConnected } from "./connected.ts";

const IN_FLIGHT_MAX = 64;

/** Opens a session for each of `users` users, `user-0000000` and on; returns the sessions' ids in the order of the users. */
export async function prefillSessions(region: string, natsUrl: string, users: number): Promise<string[]> {
  const store = connectLogStore({ servers: natsUrl, name: "bench-prefill" });
  try {
    await untilConnected(store);
    const opened = await store.openLog(region, { create: true });
    if (!opened.ok) throw new Error(`${opened.reason}: ${opened.detail}`);
    return await fill(opened.log, users);
  } finally {
    await store.close();
  }
}

async function fill(log: OriginLog, users: number): Promise<string[]> {
  const sessions: string[] = [];
  const underWay: Promise<void>[] = [];
  const writer = new FrameWriter();
  let frames = 0;
  const begin = (): void =>
    writer.begin({ region: log.region, logId: log.logId, node: "bench", committedAtMs: Date.now() });
  const send = async (): Promise<void> => {
    frames += 1;
    underWay.push(append(log, writer.finish(), `prefill.${frames}`));
    if (underWay.length >= IN_FLIGHT_MAX) await underWay.shift();
  };
  begin();
  for (let index = 0; index < users; index++) {
    const open = openOf(log.region, index);
    sessions.push(open.session.session);
    writer.add(open);
    if (writer.byteLength < LIMITS.frameBytesTarget) continue;
    await send();
    begin();
  }
  if (writer.commandCount > 0) await send();
  await Promise.all(underWay);
  return sessions;
}

async function append(log: OriginLog, bytes: Uint8Array, messageId: string): Promise<void> {
  const result = await log.append(bytes, messageId);
  mustHold(result.ok, result.ok ? "" : `prefilling failed: ${result.detail}`);
}

/** Ids are made as a node makes them. */
function openOf(region: string, index: number): Open {
  return {
    kind: "open",
    user: `user-${String(index).padStart(7, "0")}`,
    session: {
      session: randomBytes(9).toString("base64url"),
      region,
      device: "web",
      platform: "web",
      status: "online",
      state: "",
      sinceMs: Date.now(),
    },
  };
}
