/** What is on its way to the log: nothing is opened again behind it, and what follows does not overtake it. */
import { describe, expect, it } from "vitest";
import type { UserCommand } from "../../../replicator/core/commands.ts";
import { Bench, valueOf } from "../../core/presence-bench.ts";
import { accept, open, prefer, sessionOf } from "../../core/samples.ts";
import type { Presence } from "../../../services/presence/presence.ts";

/** Opened and acknowledged, and the node's own log is not folded so far. */
async function unfolded(bench: Bench, device = ""): Promise<string> {
  const opening = bench.presence.openSession({ user: "ann", device });
  await bench.settle();
  return valueOf(await opening).session;
}

/** The node looks at all its leases. */
function look({ presence }: Bench): void {
  presence.step({ kind: "caught-up" });
  presence.tick();
}

describe("a session that no log has yet", () => {
  it.each<{
    what: string;
    kinds: string[];
    write: (presence: Presence, session: string) => Promise<unknown>;
  }>([
    { what: "close", kinds: ["close"], write: (presence, session) => presence.closeSession(session) },
    { what: "forced logout", kinds: ["close"], write: (presence) => presence.forceLogout("ann") },
    {
      what: "change",
      kinds: ["update"],
      write: (presence, session) => presence.updateSession(session, { status: "busy" }),
    },
  ])("is not opened again behind its $what", async ({ kinds, write }) => {
    const bench = new Bench().caughtUp();
    await bench.settle();
    const session = await unfolded(bench);
    const writing = write(bench.presence, session);
    look(bench);
    expect((await bench.settle()).map(({ kind }) => kind)).toEqual(kinds);
    expect(await writing).toMatchObject({ ok: true });
  });

  it("is opened again as it was changed, once the last of two changes is in the log", async () => {
    const bench = new Bench().caughtUp();
    await bench.settle();
    const session = await unfolded(bench);
    const away = bench.presence.updateSession(session, { status: "away" });
    const first = bench.asked.splice(0);
    const busy = bench.presence.updateSession(session, { status: "busy" });
    const second = bench.asked.splice(0);
    bench.asked.push(...first);
    await bench.settle();
    valueOf(await away);
    look(bench);
    expect(await bench.settle()).toEqual([]);
    bench.asked.push(...second);
    await bench.settle();
    valueOf(await busy);
    look(bench);
    expect(await bench.settle()).toMatchObject([{ kind: "open", session: { session, status: "busy" } }]);
  });
});

describe("a beat of weak presence", () => {
  it("renews a session that is being opened again, and opens none beside it", async () => {
    const bench = new Bench().caughtUp();
    await bench.settle();
    const session = await unfolded(bench, "web");
    look(bench);
    expect(bench.presence.touch("ann", "web")).toBeUndefined();
    expect(await bench.settle()).toMatchObject([{ kind: "open", session: { session } }]);
    expect(bench.presence.liveSessions).toBe(1);
  });
});

describe("a command about a session", () => {
  it("goes to the log that has the session, though a newer one of the user goes elsewhere", async () => {
    const bench = new Bench().caughtUp();
    const here = await bench.open("ann");
    bench.peer("us", open("ann", sessionOf("x", "us", "phone")));
    const opening = bench.presence.openSession({ user: "ann", device: "phone" });
    expect(await bench.settle()).toMatchObject([{ kind: "forward", to: "us" }]);
    valueOf(await opening);
    const updating = bench.presence.updateSession(here.session, { status: "busy" });
    expect(await bench.settle()).toMatchObject([{ kind: "update", session: here.session }]);
    valueOf(await updating);
  });

  it("goes the way of its open where that is not folded, whatever was opened since", async () => {
    const bench = new Bench().caughtUp();
    await bench.settle();
    const first = bench.presence.openSession({ user: "ann", home: "us" });
    await bench.settle();
    const { session } = valueOf(await first);
    bench.peer("eu", open("ann", "x", "eu"));
    const second = bench.presence.openSession({ user: "ann" });
    expect(await bench.settle()).toMatchObject([{ kind: "forward", to: "us" }]);
    const newest = valueOf(await second).session;
    for (const one of [session, newest]) {
      const closing = bench.presence.closeSession(one);
      expect(await bench.settle()).toMatchObject([{ kind: "forward", to: "us", command: { session: one } }]);
      valueOf(await closing);
    }
  });
});

/** ann, with a session connected here, is given from us to eu, and on the way there. */
async function givenAway(): Promise<{ bench: Bench; session: string; arrive: () => void }> {
  const bench = new Bench().caughtUp();
  const { session } = await bench.open("ann", "", "us");
  const opened = open("ann", sessionOf(session, "cn"));
  bench.peer("us", accept("cn", 0, 1, opened), prefer("ann", "away"));
  bench.peer("us", { kind: "release", user: "ann", to: "eu" });
  const handedOver: UserCommand = {
    kind: "claim",
    user: "ann",
    epoch: { generation: 0, count: 2 },
    sessions: [opened.session],
    preferred: "away",
    untilMs: 0,
  };
  return { bench, session, arrive: () => bench.peer("eu", accept("us", 0, 1, handedOver)) };
}

type Say = (presence: Presence, session: string) => Promise<unknown>;
const change: Say = (presence, session) => presence.updateSession(session, { status: "busy" });
const close: Say = (presence, session) => presence.closeSession(session);
const force: Say = (presence) => presence.forceLogout("ann");
const wish: Say = (presence) => presence.prefer("ann", "busy", 0);

describe("what was said and is not folded yet", () => {
  it.each<{ what: string; first: Say; next: Say }>([
    { what: "a change of a session leads the next", first: change, next: change },
    { what: "a change of a session leads its close", first: change, next: close },
    { what: "a forced close leads the client's own", first: force, next: close },
    { what: "a preference leads the next", first: wish, next: wish },
  ])("$what the same way, though the user arrives elsewhere meanwhile", async ({ first, next }) => {
    const { bench, session, arrive } = await givenAway();
    const said = [first(bench.presence, session)];
    arrive();
    said.push(next(bench.presence, session));
    expect(await bench.settle()).toMatchObject([{ to: "us" }, { to: "us" }]);
    await Promise.all(said);
  });

  it("leads the next until it is folded and where it goes has passed it on", async () => {
    const { bench, arrive } = await givenAway();
    const first = wish(bench.presence, "");
    await bench.settle();
    await first;
    arrive();
    bench.fold().peer("us", accept("cn", 1, 2, prefer("ann", "busy")));
    bench.peer("eu", accept("us", 1, 2, prefer("ann", "busy")));
    const next = wish(bench.presence, "");
    expect(await bench.settle()).toMatchObject([{ to: "eu" }]);
    await next;
  });
});
