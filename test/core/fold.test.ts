/** The fold's table, cell by cell, and what a fold refuses. */
import { describe, expect, it } from "vitest";
import type { Command, Frame, UserCommand } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import { canonical } from "./observed.ts";
import { recorded } from "./recorded.ts";
import { accept, close, drop, forward, frame, logOf, open, prefer, sessionOf, update } from "./samples.ts";

function isUserCommand(command: Command): command is UserCommand {
  return ["open", "update", "close", "prefer"].includes(command.kind);
}

const OPEN = open("ann", "s2");
const UPDATE = update("ann", "s1", "busy");
const CLOSE = close("ann", "s1");
const PREFER = prefer("ann", "away", 5);
const DROP = drop("ann", "us");

/** The state of the user before, by the commands that lead to it. */
const BEFORE: Record<"nothing" | "a record" | "moved", Command[]> = {
  nothing: [],
  "a record": [open("ann", "s1")],
  moved: [open("ann", "s1"), drop("ann", "eu")],
};

const TABLE: [Command, keyof typeof BEFORE, string[]][] = [
  [OPEN, "nothing", ["appeared ann", "applied open"]],
  [OPEN, "a record", ["changed ann", "applied open"]],
  [OPEN, "moved", ["forward 2 to eu: open s2"]],
  [PREFER, "nothing", ["appeared ann", "applied prefer"]],
  [PREFER, "a record", ["changed ann", "applied prefer"]],
  [PREFER, "moved", ["forward 2 to eu: prefer away"]],
  [UPDATE, "nothing", ["refused update: unknown-user"]],
  [UPDATE, "a record", ["applied update"]],
  [UPDATE, "moved", ["forward 2 to eu: update s1"]],
  [CLOSE, "nothing", ["refused close: unknown-user"]],
  [CLOSE, "a record", ["changed ann", "applied close ended s1 logout"]],
  [CLOSE, "moved", ["forward 2 to eu: close s1"]],
  [DROP, "nothing", ["refused drop: not-homed"]],
  [DROP, "a record", ["forward 1 to us: open s1", "changed ann"]],
  [DROP, "moved", ["refused drop: not-homed"]],
];

describe("the table of commands", () => {
  it.each(TABLE)("$kind, where the log holds %s", (command, before, told) => {
    const { give } = recorded();
    for (const earlier of BEFORE[before]) give(earlier);
    expect(give(command)).toEqual(told);
  });

  it.each(TABLE)("an accepted $kind does the same, where the log holds %s", (command, before, told) => {
    const { give } = recorded();
    for (const earlier of BEFORE[before]) give(earlier);
    // A drop is never forwarded, so there is none to accept.
    const given = isUserCommand(command) ? accept("us", 0, 1, command) : command;
    const after = given === command ? [] : ["processed 1 of us log-us"];
    expect(give(given)).toEqual([...told, ...after]);
  });

  it("what is refused leaves the record as it was", () => {
    const { fold, give } = recorded();
    give(OPEN);
    const before = JSON.stringify([...fold.table]);
    give(update("ann", "no such session", "busy"), close("ann", "no such session"), close("bob", "s2"));
    expect(JSON.stringify([...fold.table])).toBe(before);
  });

  it("a drop forwards every session, then the preference, and keeps a pointer", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"), open("ann", "s2"), prefer("ann", "busy", 9));
    expect(give(DROP)).toEqual([
      "forward 1 to us: open s1",
      "forward 2 to us: open s2",
      "forward 3 to us: prefer busy",
      "changed ann",
    ]);
    expect(fold.table.get("ann")).toMatchObject({
      movedTo: "us",
      sessions: [],
      preferred: "automatic",
      version: 2,
    });
    expect(fold.homed("ann")).toBeUndefined();
  });

  it("a drop does not forward a preference that was never set", () => {
    const { give } = recorded();
    give(OPEN);
    expect(give(DROP)).toEqual(["forward 1 to us: open s2", "changed ann"]);
  });

  it("a digest of a position without a mark is compared with nothing", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"));
    expect(give({ kind: "digest", at: 1, sums: fold.sums() })).toEqual([]);
    expect(give({ kind: "mark" })).toEqual(["marked 3"]);
    expect(give({ kind: "digest", at: 3, sums: fold.sums() })).toEqual(["compared at 3: "]);
  });

  it("a drop to this very region is refused", () => {
    const { give } = recorded();
    give(OPEN);
    expect(give(drop("ann", "cn"))).toEqual(["refused drop: not-homed"]);
  });

  it("a first claim has epoch (0, 1), and its version is its position", () => {
    const { fold, give } = recorded();
    give({ kind: "watermark", peers: [] });
    give(OPEN);
    expect(fold.homed("ann")).toMatchObject({ epoch: { generation: 0, count: 1 }, version: 2 });
  });

  it("a watermark tells nothing", () => {
    expect(recorded().give({ kind: "watermark", peers: [] })).toEqual([]);
  });
});

describe("forwards", () => {
  it("are numbered per target, densely", () => {
    const { give } = recorded();
    expect(give(forward("us", OPEN), forward("eu", OPEN), forward("us", CLOSE))).toEqual([
      "forward 1 to us: open s2",
      "forward 1 to eu: open s2",
      "forward 2 to us: close s1",
    ]);
  });

  it("leave the record alone, even of a user homed here", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"));
    give(forward("us", close("ann", "s1")));
    expect(fold.homed("ann")?.sessions).toEqual([sessionOf("s1")]);
  });

  it("to this very region are refused", () => {
    expect(recorded().give(forward("cn", OPEN))).toEqual(["refused forward: forward-to-self"]);
  });
});

describe("accepts", () => {
  it("a forward at or below processed[via] is ignored", () => {
    const { fold, give } = recorded();
    give(accept("us", 0, 1, OPEN), accept("us", 1, 2, UPDATE));
    const before = JSON.stringify([...fold.table]);
    expect(give(accept("us", 0, 1, CLOSE), accept("us", 1, 2, CLOSE), accept("us", 0, 2, PREFER))).toEqual([
      "refused accept: already-processed",
      "refused accept: already-processed",
      "refused accept: already-processed",
    ]);
    expect(JSON.stringify([...fold.table])).toBe(before);
    expect(fold.processedOf(logOf("us"))).toBe(2);
  });

  it("an accept that spans superseded forwards takes effect, from wherever processed stands within its span", () => {
    for (const processed of [4, 5, 6]) {
      const { fold, give } = recorded();
      give(accept("us", 0, processed, OPEN));
      give(accept("us", 4, 7, UPDATE));
      expect(fold.processedOf(logOf("us"))).toBe(7);
    }
  });

  it("an accept that would leave out a lost one is refused, so that the forwards stay in order", () => {
    const { fold, give } = recorded();
    expect(give(accept("us", 1, 2, OPEN))).toEqual(["refused accept: out-of-order"]);
    expect(fold.processedOf(logOf("us"))).toBe(0);
  });

  it("what the forward asks may be refused; it counts as processed all the same", () => {
    expect(recorded().give(accept("us", 0, 1, CLOSE))).toEqual([
      "refused close: unknown-user",
      "processed 1 of us log-us",
    ]);
  });

  it("the ordinals of another lineage of the same region's log start anew", () => {
    const { fold, give } = recorded();
    give(accept("us", 0, 5, OPEN));
    give({ ...accept("us", 0, 1, open("ann", "s3")), lineage: "log-us-2" });
    expect(fold.homed("ann")?.sessions.map(({ session }) => session)).toEqual(["s2", "s3"]);
    expect([...fold.processed]).toEqual([
      ["log-us", 5],
      ["log-us-2", 1],
    ]);
  });

  it("of this very region's own log are refused", () => {
    expect(recorded().give(accept("cn", 0, 1, OPEN))).toEqual(["refused accept: accept-from-self"]);
  });
});

describe("the record", () => {
  it("an open replaces a session of the same id, which does not end", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"), open("ann", "s2"));
    expect(give(open("ann", { ...sessionOf("s1"), status: "busy" }))).toEqual([
      "changed ann",
      "applied open",
    ]);
    expect(fold.homed("ann")?.sessions.map(({ session, status }) => [session, status])).toEqual([
      ["s2", "online"],
      ["s1", "busy"],
    ]);
  });

  it("an open on the same device ends the session there, as replaced by the new one", () => {
    const { give } = recorded();
    give(open("ann", "s1", "us", "phone"));
    expect(give(open("ann", "s2", "cn", "phone"))).toEqual([
      "changed ann",
      "applied open ended s1 replaced s2",
    ]);
  });

  it("sessions without a device replace nobody", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"), open("ann", "s2"));
    expect(fold.homed("ann")?.sessions).toHaveLength(2);
  });

  it("a session beyond the limit ends the oldest", () => {
    const { fold, give } = recorded();
    for (let n = 1; n <= LIMITS.sessionsPerUserMax; n++) give(open("ann", `s${n}`));
    expect(give(open("ann", "one more"))).toEqual(["changed ann", "applied open ended s1 replaced one more"]);
    expect(fold.homed("ann")?.sessions).toHaveLength(LIMITS.sessionsPerUserMax);
  });

  it("a change never touches an array that a view may hold", () => {
    const { fold, give } = recorded();
    give(open("ann", "s1"));
    const held = fold.homed("ann")?.sessions;
    give(open("ann", "s2"), update("ann", "s1", "busy"), close("ann", "s1"));
    expect(held).toEqual([sessionOf("s1")]);
  });
});

describe("a frame", () => {
  const refused: [string, number, Frame][] = [
    ["duplicate", 1, frame("cn", CLOSE)],
    ["gap", 3, frame("cn", CLOSE)],
    ["identity", 2, { ...frame("cn", CLOSE), logId: "another" }],
    ["authority", 2, frame("us", CLOSE)],
  ];
  it.each(refused)("is refused as %s and changes nothing", (reason, position, given) => {
    const { fold, give, told } = recorded();
    give(open("ann", "s1"));
    told.length = 0;
    const before = canonical(fold);
    expect(fold.apply(position, given)).toBe(reason);
    expect(canonical(fold)).toBe(before);
    expect(told).toEqual([]);
  });

  it("the first gives the fold its identity, and starts at 1", () => {
    const { fold } = recorded();
    expect(fold.apply(2, frame("cn"))).toBe("gap");
    expect(fold.logId).toBe("");
    expect(fold.apply(1, frame("cn"))).toBe("applied");
    expect(fold.logId).toBe(logOf("cn"));
  });
});
