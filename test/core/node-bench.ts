/** One node of cn for tests: it is given events at a clock of its own, and what it wants done is kept by duty. */
import type { Command, Frame, Region } from "../../replicator/core/commands.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { Duty, NodeEffect, NodeEvent } from "../../replicator/core/node-events.ts";
import { REGIONS, frame } from "./samples.ts";

type AppendEffect = Extract<NodeEffect, { kind: "append" }>;

export class Bench {
  readonly node = new PresenceNode("cn", REGIONS);
  ms = 10_000;
  readonly appended: AppendEffect[] = [];
  readonly told: NodeEffect[] = [];

  constructor(caughtUp = true) {
    if (caughtUp) this.give({ kind: "caught-up" });
    this.take("watermark");
  }

  pass(ms: number): this {
    this.ms += ms;
    return this;
  }

  give(event: NodeEvent): this {
    for (const effect of this.node.step(event, { monoMs: this.ms, wallMs: 1_000_000 + this.ms })) {
      if (effect.kind === "append") this.appended.push(effect);
      else this.told.push(effect);
    }
    return this;
  }

  tick(ms = 0): this {
    return this.pass(ms).give({ kind: "tick" });
  }

  fold(region: Region, ...commands: Command[]): this {
    return this.frame(frame(region, ...commands));
  }

  frame(given: Frame): this {
    const position = (this.node.replica.fold(given.region)?.position ?? 0) + 1;
    return this.give({ kind: "frame", region: given.region, position, frame: given });
  }

  settle(duty: Duty, ok: boolean): this {
    return this.give({ kind: "settled", duty, ok });
  }

  /** The commands of every append of this duty since the last time, oldest first. */
  take(kind: Duty["kind"]): (readonly Command[])[] {
    const taken = this.appended.filter(({ duty }) => duty.kind === kind);
    for (const one of taken) this.appended.splice(this.appended.indexOf(one), 1);
    return taken.map(({ commands }) => commands);
  }
}
