/** A link under test: it is given events at a time that moves only when told. */
import type { Inspection, LinkEffect, LinkEvent } from "../../replicator/core/link-events.ts";
import { Link } from "../../replicator/core/link.ts";
import type { Seal } from "../../replicator/core/seal.ts";
import { logOf } from "./samples.ts";

export const ID = logOf("us");
export const CHECKSUM = 77;
export const GOOD = { ok: true, region: "us", logId: ID, checksum: CHECKSUM } as const satisfies Inspection;
export const TICK: LinkEvent = { kind: "tick" };

/** A link with its clock. `give` returns the effects; time moves only with `pass`. */
export class Bench {
  readonly link = new Link("us");
  ms = 10_000;

  pass(ms: number): this {
    this.ms += ms;
    return this;
  }

  give(event: LinkEvent): LinkEffect[] {
    return this.link.step(event, { monoMs: this.ms, wallMs: 1_000_000 + this.ms });
  }

  open(head = 10, position = 0, sequence = position): LinkEffect[] {
    this.give(TICK);
    return this.give(opened({ head }, { position, sequence, logId: position === 0 ? "" : ID }));
  }

  entry(position: number, inspection: Inspection = GOOD): LinkEffect[] {
    return this.give({
      kind: "entry",
      entry: { position, bytes: new Uint8Array([position & 255]) },
      inspection,
    });
  }

  /** The append of `position`, made by the newest attempt, is acknowledged. */
  appended(position: number, attempt = 1): LinkEffect[] {
    return this.give({ kind: "appended", attempt, position, bytes: 100 });
  }

  get state(): string {
    return this.link.report().state;
  }
}

export function opened(
  origin: { logId?: string; first?: number; head?: number; bytes?: number },
  copy: { logId?: string; position?: number; sequence?: number; sealed?: Seal } = {},
): LinkEvent {
  return {
    kind: "opened",
    origin: { logId: ID, first: 1, head: 0, bytes: 0, ...origin },
    copy: { logId: "", position: 0, sequence: 0, checksum: CHECKSUM, ...copy },
  };
}
