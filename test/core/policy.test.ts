/** Login policies in the fold: which sessions a login ends, why, and that the order of the home's log alone decides. */
import { describe, expect, it } from "vitest";
import type { LoginPolicy, Session } from "../../replicator/core/commands.ts";
import { endsFor, endsNobody } from "../../replicator/core/record.ts";
import { recorded } from "./recorded.ts";
import { accept, close, open, sessionOf } from "./samples.ts";

function login(session: string, policy: LoginPolicy, given: Partial<Session> = {}): Session {
  return { ...sessionOf(session), policy, ...given };
}

describe("a login", () => {
  const HELD = sessionOf("held", "us", "phone");
  it.each<[string, Session, ReturnType<typeof endsFor>]>([
    ["multi, elsewhere", login("s", "multi", { device: "web" }), undefined],
    ["multi, on the same device", login("s", "multi", { device: "phone" }), "replaced"],
    ["per-platform, on the same", login("s", "per-platform", { device: "web" }), "kicked"],
    ["per-platform, on another", login("s", "per-platform", { platform: "web" }), undefined],
    ["single, on another platform", login("s", "single", { platform: "web" }), "kicked"],
    ["single, of its own device: never kicked", login("s", "single", { device: "phone" }), "replaced"],
  ])("%s", (_which, session, reason) => {
    expect(endsFor(session, HELD)).toBe(reason);
    const { give } = recorded();
    give(open("ann", HELD));
    const ended = reason === undefined ? "" : ` ended held ${reason} s`;
    expect(give(open("ann", session))).toEqual(["changed ann", `applied open${ended}`]);
  });

  it.each<[LoginPolicy, string, boolean]>([
    ["multi", "", true],
    ["multi", "phone", false],
    ["single", "", false],
    ["per-platform", "", false],
  ])("%s on device '%s' may end somebody or not", (policy, device, nobody) => {
    expect(endsNobody(login("s", policy, { device }))).toBe(nobody);
  });

  it("ends every other session, each for its own reason", () => {
    const { fold, give } = recorded();
    give(open("ann", "a", "us", "phone"), open("ann", "b", "eu", "web"), open("ann", "c"));
    expect(give(open("ann", login("s", "single", { device: "phone" })))).toEqual([
      "changed ann",
      "applied open ended a replaced s ended b kicked s ended c kicked s",
    ]);
    expect(fold.homed("ann")?.sessions.map(({ session }) => session)).toEqual(["s"]);
  });

  it("that leaves room stands beside one that did not", () => {
    const { fold, give } = recorded();
    give(open("ann", login("one", "single")), open("ann", login("two", "multi")));
    expect(fold.homed("ann")?.sessions).toHaveLength(2);
  });

  it("repeated, ends those that came between, and itself never", () => {
    const { fold, give } = recorded();
    const single = login("s1", "single");
    give(open("ann", single), open("ann", "s2"));
    expect(give(open("ann", single))).toEqual(["changed ann", "applied open ended s2 kicked s1"]);
    expect(give(open("ann", single))).toEqual(["changed ann", "applied open"]);
    expect(fold.homed("ann")?.sessions).toEqual([single]);
  });
});

describe("a race", () => {
  const [CN, US] = [login("of-cn", "single"), login("of-us", "single", { region: "us" })];

  it("of logins in two regions is won by the one that the home's log has last, whatever their clocks said", () => {
    const early = { ...US, sinceMs: CN.sinceMs - 3_600_000 };
    const { fold, give } = recorded();
    give(accept("eu", 0, 1, open("ann", CN)));
    expect(give(accept("us", 0, 1, open("ann", early))).at(1)).toBe("applied open ended of-cn kicked of-us");
    expect(fold.homed("ann")?.sessions).toEqual([early]);
  });

  it("of the loser's logout with the winner's login changes nothing for the winner", () => {
    const { fold, give } = recorded();
    give(open("ann", CN), accept("us", 0, 1, open("ann", US)));
    expect(give(close("ann", "of-cn"))).toEqual(["refused close: unknown-session"]);
    expect(fold.homed("ann")?.sessions).toEqual([US]);
  });

  it("of logins on both sides of a move leaves what the new home had", () => {
    const { fold, give } = recorded();
    give(open("ann", CN));
    const epoch = { generation: 0, count: 2 };
    const claim = { kind: "claim", user: "ann", epoch, preferred: "automatic", untilMs: 0 } as const;
    expect(give(accept("us", 0, 1, { ...claim, sessions: [US] }))).toEqual([
      "changed ann",
      "applied claim ended of-us kicked of-cn",
      "processed 1 of us log-us",
    ]);
    expect(fold.homed("ann")?.sessions).toEqual([CN]);
  });
});
