/** What a node says of regions that are lost: its vote, the end of a fence, and that a region is back. */
import { describe, expect, it } from "vitest";
import { defined } from "../../replicator/core/assert.ts";
import type { Command, Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { Now } from "../../replicator/core/lag.ts";
import { parseSeal } from "../../replicator/core/seal.ts";
import { BACK_MS, FENCE_MS, Successions, forcedKey } from "../../replicator/core/successions.ts";
import { voteKey } from "../../replicator/core/votes.ts";
import { Bench as NodeBench } from "./node-bench.ts";
import { open, progress } from "./samples.ts";
import { Given, SUCCEED, say } from "./succeeded.ts";

const HERE = "log-cn at 2 sum 0";
const VOTED = `fenced.cn 1 for us of ${HERE}`;
const YIELDED = "succession.cn yield 1";

/** A node of us, or of another region, over a replica that has cn's log up to 2; time moves only with `pass`. */
class Bench {
  readonly given = new Given();
  readonly node: Successions;
  readonly #region: Region;
  #ms = 10_000;

  constructor(region: Region = "us") {
    this.#region = region;
    this.node = new Successions(region, () => this.given.replica);
  }

  get now(): Now {
    return { monoMs: this.#ms, wallMs: 0 };
  }

  pass(ms: number): this {
    this.#ms += ms;
    return this;
  }

  says(region: Region, value: string): this {
    this.given.own(region, say(value));
    return this;
  }

  vote(region: Region, value = HERE): this {
    return this.set(region, voteKey("cn"), `1 for us of ${value}`);
  }

  set(region: Region, key: string, value: string): this {
    const command: Command = { kind: "set", key, value, by: "op", reason: "" };
    this.given.own(region, command);
    return this;
  }

  seal(text: string, head = 2, logId = "log-cn"): this {
    this.node.sealed("cn", { seal: defined(parseSeal(text), text), logId, head });
    return this;
  }

  copied(position: number, logId = "log-us"): this {
    this.node.copied("cn", logId, position, this.now);
    return this;
  }

  due(): string[] {
    return this.node.due(this.now).map(({ key, value }) => `${key} ${value}`);
  }

  why(): string | undefined {
    return this.node.due(this.now)[0]?.reason;
  }

  /** What is due is folded. */
  fold(): this {
    this.given.own(this.#region, ...this.node.due(this.now));
    return this;
  }
}

function fencedBench(): Bench {
  return new Bench().says("us", "fence 1");
}

function succeededBench(): Bench {
  return fencedBench().says("us", SUCCEED);
}

/** Copies what there is, each 250 ms, and one frame more. */
function follow(one: Bench, ms: number, behind = 0): void {
  for (let done = 0; done < ms; done += 250) {
    one.given.own("us");
    one.pass(250).copied(Math.max(1, one.given.at("us") - behind));
  }
}

describe("a region votes", () => {
  it("once its copy is sealed for that fence, and all of it folded; once", () => {
    for (const region of ["eu", "us"]) {
      const one = new Bench(region);
      expect(one.seal("us fence 1").due()).toEqual([]);
      one.says("us", "fence 1");
      expect(one.due()).toEqual([VOTED]);
      expect(one.due()).toEqual([]);
      expect(one.pass(5_000).due()).toEqual([VOTED]);
      one.pass(5_000).fold();
      expect(one.pass(5_000).due()).toEqual([]);
    }
  });

  it.each(["", "us fence 2", "us yield 1", "eu fence 1"])("not with the seal %j", (text) => {
    const one = new Bench("eu").says("us", "fence 1");
    if (text !== "") one.seal(text);
    expect(one.due()).toEqual([]);
  });

  it("not before it has folded the copy, nor when the fence is over", () => {
    expect(new Bench("eu").says("us", "fence 1").seal("us fence 1", 3).due()).toEqual([]);
    const over = new Bench("eu").says("us", "fence 1").says("us", "yield 1");
    expect(over.seal("us fence 1").due()).toEqual([]);
  });

  it("again where one of its nodes turns out to be further", () => {
    const one = new Bench("eu").says("us", "fence 1").vote("eu", "log-cn at 1 sum 0");
    expect(one.seal("us fence 1").due()).toEqual([VOTED]);
    one.vote("eu", "log-cn at 3 sum 0");
    expect(one.pass(9_000).due()).toEqual([]);
  });
});

describe("the heir ends its fence", () => {
  it("with the majority, from where it stands, for the operator's reason; said again if it is not folded", () => {
    const one = fencedBench().vote("us");
    expect(one.due()).toEqual([]);
    one.vote("eu", "log-cn at 1 sum 5");
    expect(one.node.due(one.now)).toEqual([
      { kind: "set", key: "succession.cn", value: SUCCEED, by: "node", reason: "lost" },
    ]);
    expect(one.due()).toEqual([]);
    one.pass(5_000).fold();
    expect(one.given.standing("us")).toBe(`${SUCCEED} since 3`);
    expect(one.pass(60_000).due()).toEqual([]);
  });

  it("by giving it up where another region is further, and says which", () => {
    const one = fencedBench().vote("us").vote("eu", "log-cn at 14 sum 0");
    expect(one.why()).toBe("given up: us is behind: eu has 12 more frames, evacuate to eu");
    one.pass(5_000).fold();
    expect(one.given.standing("us")).toBe("yield 1");
  });

  it("by giving it up where votes are missing for 30 s, counted for each fence", () => {
    const one = fencedBench().vote("us");
    expect(one.due()).toEqual([]);
    expect(one.pass(FENCE_MS - 1).due()).toEqual([]);
    expect(one.pass(1).why()).toBe("given up: eu said nothing for 30 s");
    one.says("us", "yield 1").pass(10).due();
    expect(one.says("us", "fence 2").due()).toEqual([]);
    expect(one.pass(FENCE_MS).due()).toEqual(["succession.cn yield 2"]);
    const other = fencedBench();
    other.due();
    other.says("us", "yield 1").says("us", "fence 2").pass(FENCE_MS);
    expect(other.due()).toEqual([]);
  });

  it("where that is forced, after 30 s with its own log whoever is missing or further; not without its vote", () => {
    const one = fencedBench().set("us", forcedKey("cn"), "1").vote("us");
    expect(one.due()).toEqual([]);
    one.vote("eu", "log-cn at 14 sum 0");
    expect(one.due()).toEqual([]);
    expect(one.pass(FENCE_MS).due()).toEqual([`succession.cn ${SUCCEED}`]);
    const silent = fencedBench().set("us", forcedKey("cn"), "1");
    silent.due();
    expect(silent.pass(FENCE_MS).why()).toBe("given up: eu, us said nothing for 30 s");
    const before = fencedBench().set("us", forcedKey("cn"), "2").vote("us");
    before.due();
    expect(before.pass(FENCE_MS).due()).toEqual([YIELDED]);
  });

  it("with a reason that has room, whoever is missing", () => {
    const one = fencedBench()
      .vote("us")
      .vote("eu", `${"x".repeat(32)} at 2 sum 0`);
    expect(Buffer.byteLength(one.why() ?? "")).toBeLessThanOrEqual(LIMITS.reasonBytesMax);
  });
});

describe("the heir yields", () => {
  it("when the region has copied its log close to its end for 5 s", () => {
    const one = succeededBench();
    follow(one, BACK_MS);
    expect(one.due()).toEqual([]);
    follow(one, 250);
    expect(one.node.due(one.now)).toEqual([
      { kind: "set", key: "succession.cn", value: "yield 1", by: "node", reason: "cn is back" },
    ]);
    one.pass(5_000).copied(one.given.at("us"));
    expect(one.due()).toEqual([]);
  });

  it("not to one that is far behind, does not copy on, or copies another log", () => {
    const far = succeededBench();
    for (let frame = 0; frame < 100; frame++) far.given.own("us");
    follow(far, 10_000, 65);
    expect(far.due()).toEqual([]);
    const still = succeededBench();
    for (let done = 0; done < 10_000; done += 250) still.pass(250).copied(2);
    expect(still.due()).toEqual([]);
    const other = succeededBench();
    for (let position = 1; position < 40; position++) other.pass(250).copied(position, "log-old");
    expect(other.due()).toEqual([]);
  });

  it("not to one that stopped in between, nor one that has not copied the decision", () => {
    const one = succeededBench();
    follow(one, BACK_MS);
    one.pass(2_001);
    follow(one, BACK_MS);
    expect(one.due()).toEqual([]);
    follow(one, 250);
    expect(one.due()).toEqual([YIELDED]);
    const early = new Bench();
    early.says("us", "fence 1");
    follow(early, 8_000);
    for (let frame = 0; frame < 20; frame++) early.given.own("us");
    early.says("us", SUCCEED);
    early.copied(early.given.at("us") - 5);
    expect(early.due()).toEqual([]);
  });
});

it("a node votes of what it was told is sealed, and yields to whom it heard copy", () => {
  const node = new NodeBench();
  node.fold("us", open("ann", "s1", "us"));
  node.fold("cn", say("fence 1", "us"));
  const seal = defined(parseSeal("cn fence 1"), "a seal");
  node.give({ kind: "sealed", region: "us", sealed: { seal, logId: "log-us", head: 1 } }).tick();
  expect(node.take("succession")).toMatchObject([
    [{ key: "fenced.us", value: "1 for cn of log-us at 1 sum 0" }],
  ]);
  node.fold("cn", say("succeed 1 of log-us at 1 sum 0", "us"));
  for (let position = 2; position < 30; position++) {
    node.fold("cn").give({ kind: "copied", region: "us", logId: "log-cn", position });
    node.tick(250);
  }
  expect(node.take("succession")[0]).toMatchObject([{ key: "succession.us", value: "yield 1" }]);
});

it("what a peer said last of a region is known, and nothing of one that said nothing", () => {
  const { matrix } = new NodeBench().fold("us", { kind: "watermark", peers: [progress("eu")] }).node;
  expect(matrix.progressOf("us", "eu")).toEqual(progress("eu"));
  expect([matrix.progressOf("us", "cn"), matrix.progressOf("mars", "cn")]).toEqual([undefined, undefined]);
});
