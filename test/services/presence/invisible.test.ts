/** Whoever is invisible reads as the offline do, and as those nobody has ever seen: field by field, in reads, lists and counts. */
import { describe, expect, it } from "vitest";
import type { PresenceView } from "../../../services/presence/service.ts";
import { Bench } from "../../core/presence-bench.ts";

/** What is told of the user, but for the name. */
function told(bench: Bench, user: string): Omit<PresenceView, "user"> {
  const { user: name, ...rest } = bench.presence.presence(user);
  expect(name).toBe(user);
  return rest;
}

async function prefer(bench: Bench, user: string, preferred: "invisible" | "automatic"): Promise<void> {
  const preferring = bench.presence.prefer(user, preferred, 0);
  await bench.settle();
  bench.fold();
  expect(await preferring).toMatchObject({ ok: true });
}

function listed(bench: Bench): unknown {
  const page = bench.presence.online({ limit: 10 });
  return "users" in page ? page.users.map(({ user }) => user) : page;
}

describe("an invisible user", () => {
  it("that was never seen reads as one whom nobody has heard of", async () => {
    const bench = new Bench().caughtUp();
    await prefer(bench, "ghost", "invisible");
    const { session } = await bench.open("ghost", "phone");
    await bench.open("ghost", "web");
    expect(bench.presence.heartbeat(session)).toBeUndefined();
    expect(told(bench, "ghost")).toEqual(told(bench, "nobody"));
    expect(told(bench, "ghost")).toMatchObject({ status: "offline", sessions: [], version: 0 });
  });

  it("reads as one that left at the same moment, whatever it does since", async () => {
    const bench = new Bench().caughtUp();
    const { session } = await bench.open("gone");
    await bench.open("ghost", "phone");
    const closing = bench.presence.closeSession(session);
    const hiding = bench.presence.prefer("ghost", "invisible", 0);
    await bench.settle();
    bench.fold();
    await Promise.all([closing, hiding]);
    const { lastSeenMs } = told(bench, "gone");
    expect(lastSeenMs).toBeGreaterThan(0);
    expect(told(bench, "ghost")).toEqual(told(bench, "gone"));
    bench.ms += 5_000;
    await bench.open("ghost", "web");
    expect(told(bench, "ghost")).toEqual(told(bench, "gone"));
    expect(told(bench, "ghost").lastSeenMs).toBe(lastSeenMs);
  });

  it("is told by writes alone: a login names the home, a forced logout counts the sessions", async () => {
    const bench = new Bench().caughtUp();
    await prefer(bench, "ghost", "invisible");
    expect(await bench.open("ghost")).toMatchObject({ home: "cn" });
    const ending = bench.presence.forceLogout("ghost");
    await bench.settle();
    expect(await ending).toMatchObject({ value: { ended: 1 } });
    bench.fold();
    expect(told(bench, "ghost")).toEqual(told(bench, "nobody"));
  });

  it("is in no list and no count, and in both again when it shows itself", async () => {
    const bench = new Bench().caughtUp();
    await bench.open("seen");
    await bench.open("ghost");
    await prefer(bench, "ghost", "invisible");
    expect(listed(bench)).toEqual(["seen"]);
    expect(bench.presence.occupancy()).toMatchObject({ users: 1, sessions: 1 });
    await prefer(bench, "ghost", "automatic");
    expect(bench.presence.occupancy()).toMatchObject({ users: 2, sessions: 2 });
    expect(told(bench, "ghost")).toMatchObject({ status: "online", home: "cn" });
  });
});
