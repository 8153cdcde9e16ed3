/**
 * Reads of a session that a node knows and cannot tell to be alive (decisions/0022): us says that it took ann over from a third region, and
 * a record of another log, made late or given up before that, has her too.
 */
import { beforeEach, describe, expect, it } from "vitest";
import type { Claim, Command, Region } from "../../../replicator/core/commands.ts";
import type { Token } from "../../../replicator/core/token.ts";
import { aboutFriends, answerTo, shownBy } from "../../../services/friends/pages.ts";
import { Bench } from "../../core/presence-bench.ts";
import { accept, logOf, open, prefer, release, says } from "../../core/samples.ts";

/** From where she was, without a session. */
const GIVEN: Claim = {
  kind: "claim",
  user: "ann",
  epoch: { generation: 0, count: 2 },
  sessions: [],
  preferred: "automatic",
  untilMs: 0,
};

let bench: Bench;
beforeEach(() => {
  bench = new Bench().caughtUp();
});

const at = (region: Region, position: number): Token =>
  new Map([[region, { logId: logOf(region), position }]]);

/** eu, which had not heard of her, logged s1; another node of cn has given her to us before. */
function hearOfHer(given = GIVEN, ...late: Command[]): void {
  bench.log.push([open("bob", "s9")]);
  bench.fold();
  bench.peer("us", accept("cn", 0, 1, given));
  bench.peer("eu", open("ann", "s1", "eu"), ...late);
}

function hearOfTheGiving(): void {
  bench.log.push([open("ann", "s2"), release("us")]);
  bench.fold();
}

describe("a session that may be over", () => {
  it("makes nobody offline, and a read with its token waits for what will tell", async () => {
    hearOfHer();
    expect(bench.presence.presence("ann")).toMatchObject({ status: "unknown", sessions: [] });
    const asked = { mode: "token", token: at("eu", 1), waitMs: 10_000 } as const;
    const atOnce = await bench.presence.read(["ann"], { ...asked, waitMs: 0 });
    expect(atOnce).toMatchObject({ value: { consistency: { satisfied: false, unheard: ["cn"] } } });
    const reading = bench.presence.read(["ann"], asked);
    hearOfTheGiving();
    const sessions = [{ session: "s1" }];
    expect(await reading).toMatchObject({
      value: { consistency: { satisfied: true }, presences: [{ sessions }] },
    });
  });

  it("is shown where its own region has its lease", async () => {
    bench.log.push([open("ann", "s1")]);
    bench.fold();
    bench.peer("us", accept("eu", 0, 1, GIVEN));
    const { replica } = bench.presence.node;
    expect(replica.view("ann")?.unsure).toMatchObject({ sessions: [{ session: "s1" }], logs: ["eu"] });
    const reading = await bench.presence.read(["ann"], { mode: "token", token: at("cn", 1), waitMs: 0 });
    expect(reading).toMatchObject({
      value: {
        consistency: { satisfied: true },
        presences: [{ status: "online", sessions: [{ session: "s1" }] }],
      },
    });
  });

  it("keeps a list of all users from being called fresh", async () => {
    const options = { mode: "token", token: at("eu", 1), waitMs: 0 } as const;
    hearOfHer();
    expect(await bench.presence.consistency(options)).toMatchObject({
      value: { satisfied: false, unheard: ["cn"] },
    });
    hearOfTheGiving();
    expect(await bench.presence.consistency(options)).toMatchObject({ value: { satisfied: true } });
  });

  it.each<[string, Partial<Claim>, boolean]>([
    ["the home's record", { preferred: "invisible" }, false],
    ["the record that is left out", {}, true],
  ])("of a user whom %s makes invisible reads as one of nobody", async (_where, given, isLate) => {
    hearOfHer({ ...GIVEN, ...given }, ...(isLate ? [prefer("ann", "invisible")] : []));
    const options = { mode: "token", token: at("eu", 1), waitMs: 0 } as const;
    const reading = await bench.presence.read(["ann", "nobody"], options);
    expect(reading).toMatchObject({ value: { consistency: { satisfied: true } } });
    const [ann, nobody] = reading.ok ? reading.value.presences : [];
    expect({ ...ann, user: "" }).toEqual({ ...nobody, user: "" });
    expect(await bench.presence.consistency(options)).toMatchObject({ value: { satisfied: true } });
  });

  it("of an invisible user is not shown where its own region has its lease", async () => {
    bench.log.push([prefer("ann", "invisible"), open("ann", "s1")]);
    bench.fold();
    bench.peer("us", accept("eu", 0, 1, GIVEN));
    const options = { mode: "token", token: at("cn", 1), waitMs: 0 } as const;
    expect(await bench.presence.read(["ann"], options)).toMatchObject({
      value: { consistency: { satisfied: true }, presences: [{ sessions: [] }] },
    });
  });

  it("keeps a list of friends from being told to another region, and from being called fresh", async () => {
    hearOfHer();
    bench.peer("eu", says("bob", "ann", "asked"), says("ann", "bob", "accepted"));
    const shown = shownBy(bench.presence);
    const question = { kind: "friends", user: "bob", limit: 10 } as const;
    const about = aboutFriends(shown, [], question, () => ({ monoMs: 0, wallMs: 0 }));
    const fresh = (): Promise<unknown> =>
      bench.presence.reads.readAbout(about, { mode: "token", token: at("eu", 2), waitMs: 0 });
    expect(answerTo(shown, question)).toBeUndefined();
    expect(await fresh()).toMatchObject({ value: { consistency: { satisfied: false, unheard: ["cn"] } } });
    hearOfTheGiving();
    const friends = [{ user: "ann", presence: { sessions: [{ session: "s1" }] } }];
    expect(answerTo(shown, question)).toMatchObject({ friends });
    expect(await fresh()).toMatchObject({ value: { consistency: { satisfied: true }, value: { friends } } });
  });
});
