/** A node of cn whose matrix is looked at: peers speak when told to, and time moves only with `pass`. */
import type { LinkState, PeerProgress, Region } from "../../replicator/core/commands.ts";
import type { LinkReport } from "../../replicator/core/link-events.ts";
import type { LinkRow } from "../../replicator/core/matrix.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import { REGIONS, frameAt } from "./samples.ts";

export const WALL = 1_000_000;

/** A node of cn with its clock; peers speak when told to. */
export class Bench {
  readonly node = new PresenceNode("cn", REGIONS);
  ms = 10_000;

  constructor() {
    this.node.step({ kind: "caught-up" }, this.now);
  }

  pass(ms: number): this {
    this.ms += ms;
    return this;
  }

  get now(): { monoMs: number; wallMs: number } {
    return { monoMs: this.ms, wallMs: WALL + this.ms };
  }

  report(origin: Region, given: Partial<LinkReport> = {}): this {
    const report = {
      origin,
      state: "live" as LinkState,
      reason: "",
      sinceMs: 77,
      head: 1,
      copied: 1,
      framesCopied: 1,
      bytesCopied: 1,
      errors: {},
      ...given,
    };
    this.node.step({ kind: "link", report }, this.now);
    return this;
  }

  /** A watermark of the region, committed now by a clock like ours, is folded. */
  watermark(region: Region, peers: PeerProgress[] = []): this {
    const position = (this.node.replica.fold(region)?.position ?? 0) + 1;
    const frame = frameAt(this.now.wallMs, region, { kind: "watermark", peers });
    this.node.step({ kind: "frame", region, position, frame }, this.now);
    return this;
  }

  row(origin: Region, replica: Region = "cn"): LinkRow {
    const rows = this.node.matrix.rows(this.now);
    const row = rows.find((one) => one.origin === origin && one.replica === replica);
    if (row === undefined) throw new Error(`no row ${origin} to ${replica}`);
    return row;
  }
}
