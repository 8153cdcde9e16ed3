/** Who is asked for a snapshot where none of those here leads on. */
import { expect, test } from "vitest";
import { SNAPSHOT_LACKED_TOPIC, SNAPSHOT_WANTED_TOPIC } from "../../../replicator/runtime/announcement.ts";
import { PEERS_AFTER_MS, askForSnapshot } from "../../../services/presence/ask-for-snapshot.ts";

const LACKED = { region: "us", logId: "log-us", atLeast: 35, head: 42, useless: [] };

function askedAfter(waitedMs: number): string[] {
  const topics: string[] = [];
  askForSnapshot({ announce: (topic) => void topics.push(topic) }, [LACKED, LACKED], waitedMs);
  return topics;
}

test("the region's nodes are asked at once, its replicators only when no node has taken one in time", () => {
  expect(askedAfter(0)).toEqual([SNAPSHOT_WANTED_TOPIC]);
  expect(askedAfter(PEERS_AFTER_MS - 1)).toEqual([SNAPSHOT_WANTED_TOPIC]);
  expect(askedAfter(PEERS_AFTER_MS)).toEqual([
    SNAPSHOT_WANTED_TOPIC,
    SNAPSHOT_LACKED_TOPIC,
    SNAPSHOT_LACKED_TOPIC,
  ]);
});
