/** What contracts ask of a log: where it begins and ends, what stands in it, and whether it takes an entry. */
import { expect } from "vitest";
import type { OriginLog, ReadableLog } from "../../replicator/log/port.ts";
import { reasonOf } from "./harness.ts";
import { bytesOf, textOf, until } from "./recorder.ts";

export async function extentOf(log: ReadableLog): Promise<{ first: number; head: number; bytes: number }> {
  const answer = await log.extent();
  if (!answer.ok) throw new Error(answer.detail);
  const { first, head, bytes } = answer.extent;
  return { first, head, bytes };
}

/** The text of the entry at each position; empty where none is held. */
export function textsAt(log: ReadableLog, positions: readonly number[]): Promise<string[]> {
  return Promise.all(
    positions.map(async (position) => {
      const answer = await log.entry(position);
      if (!answer.ok) throw new Error(answer.detail);
      expect(answer.entry?.position ?? position).toBe(position);
      return answer.entry === undefined ? "" : textOf(answer.entry.bytes);
    }),
  );
}

export async function appendedOf(log: OriginLog, text: string): Promise<string> {
  return reasonOf(await log.append(bytesOf(text), text));
}

/**
 * Appends the text, and goes on sending the same append until it fails or the returned function is called: who is acknowledged up to the
 * moment when the server stops can vouch for the log's end, however long a busy machine takes to stop it.
 */
export async function keepAppending(log: OriginLog, text: string): Promise<() => void> {
  await until(`${text} is appended`, async () => (await appendedOf(log, text)) === "ok");
  const over = new AbortController();
  void untilRefused();
  return () => over.abort();

  async function untilRefused(): Promise<void> {
    while (!over.signal.aborted && (await appendedOf(log, text)) === "ok") await new Promise(setImmediate);
  }
}
