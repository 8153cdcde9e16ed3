/** What is on its way to the log while the node looks for what the log lacks: nothing is opened again behind it. */
import { describe, expect, it } from "vitest";
import { Bench, valueOf } from "../../core/presence-bench.ts";
import { open, sessionOf } from "../../core/samples.ts";
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
