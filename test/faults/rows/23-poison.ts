/**
 * Row 23: a poison frame in cn's log, then a frame of a schema version that nobody knows in us's. Rule: the links from that log are
 * `blocked` and say why, in every region; all other links stay live, and nothing crashes.
 */
import { performance } from "node:perf_hooks";
import { crc32 } from "node:zlib";
import { linkAt, pause, untilLink } from "../health.ts";
import { appendRaw } from "../logs.ts";
import { exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { Stage } from "../stage.ts";
import type { StageRegion } from "../stage-region.ts";
import type { StageProcess } from "../stage-process.ts";

const PATIENCE_MS = 60_000;
/** Long enough that a halted link is tried again, which must not unblock or kill anything. */
const AFTER_MS = { quick: 6_000, full: 60_000 };
const VERSION_UNKNOWN = 200;

interface Fault {
  readonly what: string;
  /** Whose log it is put into. */
  readonly origin: string;
  readonly bytes: Uint8Array;
  /** In the reason that operators are told, besides the position. */
  readonly why: RegExp;
}

const FAULTS: readonly Fault[] = [
  {
    what: "poison frame",
    origin: "cn",
    bytes: Buffer.from("not a frame at all"),
    why: /broken|magic|checksum|malformed/,
  },
  { what: "unknown version", origin: "us", bytes: frameOfVersion(VERSION_UNKNOWN), why: /version/ },
];

export const row: Row = { row: 23, fault: "poison frame, unknown schema version", quick: true, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const stage = await begin({ rttMs: 40 });
  const before = pids(stage);
  const figures: Figure[] = [];
  const put: (Fault & { readonly position: number })[] = [];
  const judgeOthers = async (when: string): Promise<void> => {
    const others = await othersNotLive(stage, new Set(put.map(({ origin }) => origin)));
    for (const text of others) say(text);
    figures.push(exactly(`${when}: other links not live`, others.length, 0));
  };
  for (const fault of FAULTS) {
    const { what, origin, bytes } = fault;
    put.push({ ...fault, position: await appendRaw(stage.region(origin).nats.url, origin, bytes) });
    const since = { sinceMs: performance.now(), timeoutMs: PATIENCE_MS };
    for (const at of replicasOf(stage, origin))
      await untilLink(at, [origin, at.name], (state) => state === "blocked", since);
    await judgeOthers(what);
  }
  await pause(AFTER_MS[quick ? "quick" : "full"], stage.signal);
  for (const { what, origin, why, position } of put) {
    const replicas = replicasOf(stage, origin);
    const links = await Promise.all(replicas.map((at) => linkAt(at, origin, at.name)));
    const shown = links.map((link) => `${link?.state}: ${link?.reason}`);
    say(`${what} at ${position} of ${origin}: ${shown.join(", ")}`);
    const told = shown.filter(
      (text) => text.startsWith("blocked") && why.test(text) && text.includes(`${position}`),
    );
    figures.push(exactly(`${what}: links blocked with the reason`, told.length, replicas.length));
  }
  await judgeOthers("afterwards");
  const after = pids(stage);
  const crashes = before.filter((pid, i) => pid === undefined || pid !== after[i]).length;
  return [...figures, exactly("crashes", crashes, 0)];
}

function replicasOf(stage: Stage, origin: string): StageRegion[] {
  return stage.regions.filter(({ name }) => name !== origin);
}

/** Links from logs without a fault, as their replicas tell them. */
async function othersNotLive(stage: Stage, blocked: ReadonlySet<string>): Promise<string[]> {
  const answers = await Promise.all(
    stage.regions.flatMap((at) =>
      stage.regions
        .filter(({ name }) => name !== at.name && !blocked.has(name))
        .map(async ({ name }) => [`${name}→${at.name}`, await linkAt(at, name, at.name)] as const),
    ),
  );
  return answers
    .filter(([, link]) => link?.state !== "live")
    .map(([name, link]) => `${name} is ${link?.state} (${link?.reason})`);
}

function pids(stage: Stage): (number | undefined)[] {
  return stage.regions
    .flatMap(({ nats, nodes, replicators }): StageProcess[] => [nats, ...nodes, ...replicators])
    .map(({ pid }) => pid);
}

/** A sound envelope, see replicator/wire/README.md; what follows is nobody's business. */
function frameOfVersion(version: number): Uint8Array {
  const content = Buffer.from([version, 1, 2, 3, 4]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32(content));
  return Buffer.concat([Buffer.from("RC"), checksum, content]);
}
