/** What a replicator brings for nodes that can go on from no snapshot of their region. */
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Region } from "../../replicator/core/commands.ts";
import { MemoryLogStore, MemoryServer } from "../../replicator/log/memory.ts";
import { SNAPSHOT_LACKED_TOPIC, encodeLacked } from "../../replicator/runtime/announcement.ts";
import type { Lacked } from "../../replicator/runtime/announcement.ts";
import { formatLabel } from "../../replicator/runtime/snapshot-label.ts";
import { startReplicator } from "../../replicator/replicator.ts";
import type { RunningReplicator } from "../../replicator/replicator.ts";

const LACKED: Lacked = { region: "us", logId: "log-us", atLeast: 35, head: 42, useless: ["torn"] };
const NAMES = ["cn", "eu", "us"] as const;

let stores = new Map<Region, MemoryLogStore>();
let logged: string[] = [];
let replicator: RunningReplicator | undefined;

/** The replicator of cn. */
beforeEach(() => {
  stores = new Map(NAMES.map((name) => [name, new MemoryLogStore(new MemoryServer())]));
  logged = [];
  const peers = new Map([...stores].filter(([name]) => name !== "cn"));
  const logger = pino({}, { write: (line: string) => void logged.push(line) });
  replicator = startReplicator({ region: "cn", local: at("cn"), peers, logger });
});

afterEach(async () => {
  await replicator?.stop();
});

function at(region: Region): MemoryLogStore {
  const found = stores.get(region);
  if (found === undefined) throw new Error(`there is no ${region}`);
  return found;
}

async function store(into: Region, name: string, log: Region, position: number): Promise<void> {
  const vector = new Map([[log, { logId: `log-${log}`, position }]]);
  const label = formatLabel({ region: into, node: "n", atMs: 1, vector });
  const written = await at(into).snapshots().write(name, label, pieces());
  if (!written.ok) throw new Error(written.detail);
}

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(100);
}

async function namesHere(): Promise<string[]> {
  const listed = await at("cn").snapshots().list();
  return listed.ok ? listed.snapshots.map(({ name }) => name).toSorted() : [];
}

function lack(lacked: Lacked): void {
  at("cn").announce(SNAPSHOT_LACKED_TOPIC, encodeLacked(lacked));
}

describe("a snapshot that a node lacks", () => {
  it("is brought of the log's region, though those here and there that are useless reach further", async () => {
    for (const region of ["cn", "us"]) await store(region, "torn", "us", 40);
    await store("us", "sound", "us", 35);
    await store("eu", "elsewhere", "us", 41);
    lack(LACKED);
    await expect.poll(namesHere).toEqual(["sound", "torn"]);
  });

  it("is brought of another peer where the log's region cannot be asked", async () => {
    await at("us").close();
    await store("eu", "elsewhere", "us", 35);
    lack(LACKED);
    await expect.poll(namesHere).toEqual(["elsewhere"]);
  });

  it("is brought of any peer for the region's own log", async () => {
    await store("eu", "elsewhere", "cn", 35);
    lack({ ...LACKED, region: "cn", logId: "log-cn" });
    await expect.poll(namesHere, { timeout: 15_000 }).toEqual(["elsewhere"]);
  });

  it("is not brought for what is no announcement of one", async () => {
    await store("us", "sound", "us", 35);
    for (const text of ["", "null", "7", JSON.stringify({ ...LACKED, useless: [7] })])
      at("cn").announce(SNAPSHOT_LACKED_TOPIC, Buffer.from(text));
    await expect.poll(() => logged.filter((line) => line.includes("malformed-announcement"))).toHaveLength(4);
    expect(await namesHere()).toEqual([]);
  });
});
