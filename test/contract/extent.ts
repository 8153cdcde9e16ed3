/** What contracts ask of a log: where it begins and ends, what stands in it, and whether it takes an entry. */
import { expect } from "vitest";
import type { OriginLog, ReadableLog } from "../../replicator/log/port.ts";
import { reasonOf } from "./harness.ts";
import { bytesOf, textOf } from "./recorder.ts";

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
