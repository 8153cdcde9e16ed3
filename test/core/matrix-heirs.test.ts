/** The row of an origin that an heir stands for: it says so, and compares no positions of different logs. */
import { describe, expect, it } from "vitest";
import type { Command, LinkState, Region } from "../../replicator/core/commands.ts";
import type { LinkRow } from "../../replicator/core/matrix.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import { defined } from "../../replicator/core/assert.ts";
import { REGIONS, frame, open } from "./samples.ts";
import { SUCCEED, say } from "./succeeded.ts";

const NOW = { monoMs: 10_000, wallMs: 1_000_000 };
const HEARD: Command = { kind: "watermark", peers: [] };

/** A node of eu that has just heard of cn, which is in its second frame. */
class Given {
  readonly node = new PresenceNode("eu", REGIONS);

  constructor() {
    this.own("cn", open("ann", "s1"));
    this.own("cn", HEARD);
  }

  own(region: Region, ...commands: Command[]): void {
    this.fold(region, (this.node.replica.fold(region)?.position ?? 0) + 1, frame(region, ...commands));
  }

  /** In the log of us, for both folds. */
  heirs(command: Command): void {
    this.own("us", command);
    this.fold("cn", this.node.replica.fold("us")?.position ?? 0, frame("us", command));
  }

  fold(region: Region, position: number, one: ReturnType<typeof frame>): void {
    const effects = this.node.step({ kind: "frame", region, position, frame: one }, NOW);
    if (effects.length > 0) throw new Error(`refused: ${JSON.stringify(effects)}`);
  }

  row(state: LinkState, reason = ""): LinkRow {
    const report = { origin: "cn", state, reason, sinceMs: 77, head: 90, copied: 90 };
    this.node.matrix.report({ ...report, framesCopied: 0, bytesCopied: 0, errors: {} }, NOW);
    const rows = this.node.matrix.rows(NOW);
    return defined(
      rows.find(({ origin, replica }) => origin === "cn" && replica === "eu"),
      "each pair has a row",
    );
  }

  succeeded(): this {
    this.own("us", say("fence 1"));
    this.heirs(say(SUCCEED));
    return this;
  }
}

describe("the row of an origin", () => {
  it("that nobody succeeded is of its own log", () => {
    expect(new Given().row("live")).toMatchObject({ state: "live", reason: "", eventsBehind: 88 });
  });

  it.each<LinkState>(["live", "catching-up"])(
    "that an heir stands for is not %s, and 0 is no guess",
    (state) => {
      const given = new Given().succeeded();
      expect(given.row(state)).toMatchObject({
        state: "stalled",
        reason: "us stands for cn",
        eventsBehind: null,
      });
      expect(given.node.matrix.progress(NOW).find(({ region }) => region === "cn")).toMatchObject({
        position: 2,
        head: 2,
      });
    },
  );

  it("that an heir stands for says also what is wrong with the link", () => {
    expect(new Given().succeeded().row("disconnected", "no answer")).toMatchObject({
      state: "disconnected",
      reason: "us stands for cn: no answer",
      eventsBehind: null,
    });
  });

  it("says so until the region's next log is folded", () => {
    const given = new Given().succeeded();
    given.heirs(say("yield 1"));
    expect(given.row("live")).toMatchObject({ reason: "us stands for cn", eventsBehind: null });
    const renewed: Command = { kind: "renewed", logId: "log-us", position: 3, checksum: 0 };
    given.fold("cn", 1, { ...frame("cn", renewed, HEARD), logId: "log-cn-2" });
    expect(given.row("live")).toMatchObject({ state: "live", reason: "", eventsBehind: 89 });
  });
});
