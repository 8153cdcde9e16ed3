/**
 * What the contract's suites need of the adapter under test, and what they share.
 * Rule: each test has a region of its own, so that tests share a server and nothing else.
 */
import { expect } from "vitest";
import type { AppendResult, CopyLog, Entry, LogStore, OriginLog } from "../../replicator/log/port.ts";
import { bytesOf, range } from "./recorder.ts";

/** What a suite needs of the adapter under test: stores on one server, and hands on that server. */
export interface Harness {
  /** A new store, connected. */
  store(): Promise<LogStore>;
  /** Ends the server process, its streams kept. */
  stop(): Promise<void>;
  start(): Promise<void>;
  deleteStream(name: string): Promise<void>;
  /** Drops the entries of the stream below `sequence`. */
  truncate(name: string, sequence: number): Promise<void>;
  plantForeign(name: string): Promise<void>;
  /** Does something, and then brings the stream of that name back as it was before. Connections are lost meanwhile. */
  loseAfter(name: string, change: () => Promise<void>): Promise<void>;
  /** Changes a stored snapshot. */
  damageSnapshot(name: string): Promise<void>;
  /** Loses a part of a stored snapshot. */
  tearSnapshot(name: string): Promise<void>;
}

let regions = 0;
/** A region of its own for each test, so that tests share a server and nothing else. */
export function freshRegion(): string {
  regions += 1;
  return `r${regions}`;
}

export async function createLog(store: LogStore, region: string): Promise<OriginLog> {
  const opened = await store.openLog(region, { create: true });
  if (!opened.ok) throw new Error(opened.detail);
  return opened.log;
}

export async function createCopy(store: LogStore, origin: string): Promise<CopyLog> {
  const opened = await store.openCopy(origin, { create: true });
  if (!opened.ok) throw new Error(opened.detail);
  return opened.log;
}

/** Appends `count` entries `e1`, `e2`, … and checks that each was acknowledged. */
export async function fill(log: OriginLog, count: number): Promise<void> {
  const results = await Promise.all(range(1, count).map((n) => log.append(bytesOf(`e${n}`), `fill-${n}`)));
  expect(results.every(({ ok }) => ok)).toBe(true);
}

/** Fills a copy with the origin's entries `from`…`to` of `logId`. */
export async function fillCopy(copy: CopyLog, logId: string, from: number, to: number): Promise<void> {
  for (const position of range(from, to)) {
    const result = await copy.append({ position, logId, bytes: bytesOf(`c${position}`) }, position - from);
    expect(result.ok).toBe(true);
  }
}

export function copyEntry(position: number): Entry {
  return { position, logId: "identity-a", bytes: bytesOf(`c${position}`) };
}

export function reasonOf(result: AppendResult): string {
  return result.ok ? "ok" : result.reason;
}
