/** What a node that starts has to fold before its region may write. */
import { describe, expect, it } from "vitest";
import type { LinkState } from "../../../replicator/core/commands.ts";
import type { LinkReport } from "../../../replicator/core/link-events.ts";
import { FIRST_HEARD_MS, PeersFolded } from "../../../services/presence/peers-folded.ts";

function report(state: LinkState, head: number, errors: LinkReport["errors"] = {}): LinkReport {
  return {
    origin: "us",
    state,
    reason: "",
    sinceMs: 0,
    head,
    copied: 0,
    framesCopied: 0,
    bytesCopied: 0,
    errors,
  };
}

function started() {
  const world: { ms: number; report: LinkReport | undefined; state: LinkState; at: number } = {
    ms: 0,
    report: undefined,
    state: "live",
    at: 0,
  };
  const peers = new PeersFolded({
    peers: ["us"],
    clock: () => ({ monoMs: world.ms, wallMs: 0 }),
    reported: () => world.report,
    stateOf: () => world.state,
    at: () => world.at,
  });
  return { world, peers };
}

describe("a peer", () => {
  it("in touch is waited for as far as its log went when it was first heard of, however long that takes", () => {
    const { world, peers } = started();
    world.report = report("catching-up", 7);
    expect(peers.waiting()).toContain("folded up to 0 of 7");
    world.ms = 10 * FIRST_HEARD_MS;
    world.report = report("live", 9);
    world.at = 6;
    expect(peers.waiting()).toContain("folded up to 6 of 7");
    world.at = 7;
    expect(peers.waiting()).toBeUndefined();
    world.at = 0;
    expect(peers.waiting()).toBeUndefined();
  });

  it.each<[string, LinkReport | undefined, LinkState]>([
    ["of whom no replicator has said anything", undefined, "disconnected"],
    ["that is not reached", report("disconnected", 7), "disconnected"],
    ["of whom the replicator is silent since", report("live", 7), "disconnected"],
  ])("%s is waited for no longer than a replicator takes to reach it", (_who, reported, state) => {
    const { world, peers } = started();
    Object.assign(world, { report: reported, state });
    world.ms = FIRST_HEARD_MS - 1;
    expect(peers.waiting()).toContain("us was not heard of yet");
    world.ms = FIRST_HEARD_MS;
    expect(peers.waiting()).toBeUndefined();
  });

  it("that has no log is not waited for", () => {
    const { world, peers } = started();
    world.report = report("disconnected", 0, { absent: 1 });
    expect(peers.waiting()).toBeUndefined();
  });
});
