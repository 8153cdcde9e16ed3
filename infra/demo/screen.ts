/**
 * What the demo shows while it runs: one line per link and one for the traffic, drawn in place on a terminal, written as a block
 * every few seconds elsewhere.
 * Rule: shows what the replicas report; where nothing was reported it says so.
 */
import type { WriteStream } from "node:tty";
import type { Link, Result } from "./api.ts";
import type { TrafficCounts } from "./traffic.ts";
import { DIRECTIONS, REGIONS, directionName, linkBetween, type DemoRegion } from "./topology.ts";
import type { World } from "./world.ts";

const REDRAW_MS = 500;
const BLOCK_EVERY_MS = 5_000;
const UP = (lines: number): string => `\u001B[${lines}A`;
const CLEAR_BELOW = "\u001B[J";

export class Screen {
  private readonly world: World;
  private readonly counts: () => TrafficCounts;
  private readonly out: WriteStream;
  private readonly footer: string;
  private timer: NodeJS.Timeout | undefined;
  private drawn = 0;
  private drawing: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(world: World, counts: () => TrafficCounts, out: WriteStream, footer: string) {
    this.world = world;
    this.counts = counts;
    this.out = out;
    this.footer = footer;
  }

  start(): void {
    this.next(0);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.drawing;
  }

  /** Writes a line above what is drawn. */
  say(line: string): void {
    this.erase();
    this.out.write(`${line}\n`);
  }

  private next(inMs: number): void {
    this.timer = setTimeout(() => {
      this.drawing = this.draw().finally(() => {
        if (!this.stopped) this.next(this.out.isTTY ? REDRAW_MS : BLOCK_EVERY_MS);
      });
    }, inMs);
  }

  private async draw(): Promise<void> {
    const lines = [...(await linkLines(this.world)), trafficLine(this.counts())];
    if (this.stopped) return;
    if (!this.out.isTTY) {
      this.out.write(`${[new Date().toISOString(), ...lines].join("\n")}\n\n`);
      return;
    }
    this.erase();
    const block = ["", ...lines, "", this.footer].map((line) => line.slice(0, this.out.columns - 1));
    this.out.write(`${block.join("\n")}\n`);
    this.drawn = block.length;
  }

  private erase(): void {
    if (this.drawn > 0) this.out.write(UP(this.drawn) + CLEAR_BELOW);
    this.drawn = 0;
  }
}

/** A heading and the six links, each as its replica reports it. */
export async function linkLines(world: World): Promise<string[]> {
  const reports = new Map<DemoRegion, Result<readonly Link[]>>(
    await Promise.all(REGIONS.map(async (region) => [region, await world.apis[region].links()] as const)),
  );
  const lines = DIRECTIONS.map((direction) => {
    const { origin, replica } = direction;
    const name = directionName(direction);
    const report = reports.get(replica);
    const { cut, rttMs } = world.link(linkBetween(origin, replica).name).status();
    const wan = cut === true || cut === name ? "cut" : `${rttMs} ms`;
    if (report === undefined || !report.ok)
      return row(name, wan, "no data", "", "", "", report?.reason ?? "");
    const link = report.value.find((each) => each.origin === origin && each.replica === replica);
    if (link === undefined) return row(name, wan, "no data", "", "", "", "not reported");
    const { state, eventsBehind, watermarkAgeMs, loopLagMs, reason } = link;
    return row(name, wan, state, number(eventsBehind), ms(watermarkAgeMs), ms(loopLagMs), reason ?? "");
  });
  return [row("link", "RTT", "state", "behind", "watermark", "loop lag", "reason"), ...lines];
}

function row(...[name, wan, state, behind, watermark, loopLag, reason]: [...Cells]): string {
  const cells = [name.padEnd(8), wan.padStart(8), `  ${state.padEnd(13)}`, behind.padStart(8)];
  return [...cells, watermark.padStart(11), loopLag.padStart(11), `  ${reason}`].join("").trimEnd();
}

type Cells = [string, string, string, string, string, string, string];

function number(value: number | null | undefined): string {
  return value === null || value === undefined ? "no data" : String(Math.round(value));
}

function ms(value: number | null | undefined): string {
  return value === null || value === undefined ? "no data" : `${Math.round(value)} ms`;
}

function trafficLine({ ok, failed, skipped, loggedIn }: TrafficCounts): string {
  const failures = Object.entries(failed).map(([reason, count]) => `${reason} ${count}`);
  const rest = [...failures, ...(skipped > 0 ? [`skipped ${skipped}`] : [])];
  return `traffic: ${ok} answered, ${loggedIn} logged in${rest.length > 0 ? `; failed: ${rest.join(", ")}` : ""}`;
}
