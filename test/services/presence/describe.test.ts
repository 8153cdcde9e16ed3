/** From view to status: the table of describe.ts, and what freshness an answer has. */
import { describe, expect, it } from "vitest";
import type { PreferredStatus, Session, SessionStatus } from "../../../replicator/core/commands.ts";
import { LIMITS } from "../../../replicator/core/limits.ts";
import type { View } from "../../../replicator/core/view.ts";
import { describePresence, freshnessOf } from "../../../services/presence/describe.ts";
import type { RegionTimes } from "../../../services/presence/describe.ts";
import type { PresenceView } from "../../../services/presence/service.ts";
import { REGIONS, sessionOf } from "../../core/samples.ts";

const UNKNOWN = LIMITS.unknownAfterMs + 1;

function times(ages: Partial<Record<string, number>> = {}): RegionTimes {
  return { wallMs: 1_000_000, regions: REGIONS, ageMs: (region) => ages[region] ?? 0 };
}

function view(preferred: PreferredStatus, ...sessions: Session[]): View {
  return {
    user: "ann",
    home: "cn",
    epoch: { generation: 0, count: 1 },
    version: 7,
    preferred,
    preferredUntilMs: 0,
    sessions: sessions.map((session) => ({ session, provisional: false })),
  };
}

function on(region: string, status: SessionStatus = "online", id = `on ${region} ${status}`): Session {
  return { ...sessionOf(id, region), status };
}

/** Besides, it is unsure of a session. */
function unsureView(given: View, invisible = false): View {
  return { ...given, unsure: { sessions: [on("eu")], logs: ["us"], invisible } };
}

function told(
  given: View | undefined,
  ages?: Partial<Record<string, number>>,
  unlogged: Session[] = [],
): PresenceView {
  return describePresence("ann", given, unlogged, 55, times(ages));
}

describe("the status", () => {
  it.each<[string, View | undefined, Partial<Record<string, number>>, PresenceView["status"]]>([
    ["nobody ever heard of: offline", undefined, {}, "offline"],
    ["no sessions: offline", view("automatic"), {}, "offline"],
    ["no sessions, busy preferred: offline", view("busy"), {}, "offline"],
    ["no sessions, home unknown: unknown", view("automatic"), { cn: UNKNOWN }, "unknown"],
    ["no sessions, home stale: still offline", view("automatic"), { cn: LIMITS.unknownAfterMs }, "offline"],
    ["none shown, one unsure: unknown", unsureView(view("automatic")), {}, "unknown"],
    ["some shown, one unsure", unsureView(view("automatic", on("us", "busy"))), {}, "busy"],
    ["invisible: offline, as without sessions", view("invisible", on("cn")), {}, "offline"],
    ["invisible, home stale: offline", view("invisible", on("cn")), { cn: LIMITS.unknownAfterMs }, "offline"],
    ["invisible, home unknown: unknown", view("invisible", on("us")), { cn: UNKNOWN }, "unknown"],
    [
      "all sessions in unknown regions: unknown",
      view("automatic", on("us"), on("eu")),
      { us: UNKNOWN, eu: UNKNOWN },
      "unknown",
    ],
    ["all in unknown regions, busy preferred: unknown", view("busy", on("us")), { us: UNKNOWN }, "unknown"],
    [
      "one session in a known region counts",
      view("automatic", on("us", "away"), on("eu", "busy")),
      { us: UNKNOWN },
      "busy",
    ],
    ["some, home unknown: not declared offline", view("automatic", on("us")), { cn: UNKNOWN }, "online"],
    ["away preferred", view("away", on("cn")), {}, "away"],
    ["busy preferred", view("busy", on("cn", "away")), {}, "busy"],
    [
      "online before busy before away",
      view("automatic", on("cn", "away"), on("us", "busy"), on("eu", "online")),
      {},
      "online",
    ],
    ["busy before away", view("automatic", on("cn", "away"), on("us", "busy")), {}, "busy"],
    ["all away", view("automatic", on("cn", "away"), on("us", "away")), {}, "away"],
  ])("%s", (_rule, given, ages, status) => {
    expect(told(given, ages).status).toBe(status);
  });

  it("an invisible user that was never seen is as one nobody heard of, also while the home is unknown", () => {
    const [ghost, nobody] = [view("invisible", on("cn")), undefined].map((given) =>
      describePresence("ann", given, [], undefined, times({ cn: UNKNOWN })),
    );
    expect(ghost).toEqual(nobody);
    expect(nobody).toMatchObject({ status: "offline", freshness: "unknown" });
  });

  it("an invisible user that was seen is as one without a session, home unknown or not", () => {
    for (const ages of [{}, { cn: UNKNOWN }])
      expect(told(view("invisible", on("us")), ages)).toEqual(told(view("automatic"), ages));
  });

  it("an invisible user of whom a replica is unsure is as one without a session", () => {
    const offline = told(view("automatic"));
    expect(told(unsureView(view("invisible")))).toEqual(offline);
    expect(told(unsureView(view("automatic"), true))).toEqual(offline);
  });

  it("an invisible user's sessions are not told, nor those that no log has", () => {
    expect(told(view("invisible", on("cn")), {}, [on("cn", "online", "mine")]).sessions).toEqual([]);
  });

  it("last seen is told of the offline alone", () => {
    expect(told(view("automatic")).lastSeenMs).toBe(55);
    expect(told(view("automatic", on("cn")))).not.toHaveProperty("lastSeenMs");
    expect(told(view("automatic"), { cn: UNKNOWN })).not.toHaveProperty("lastSeenMs");
    expect(told(unsureView(view("automatic")))).not.toHaveProperty("lastSeenMs");
  });
});

describe("sessions that no log has yet", () => {
  it("are shown as provisional, and make the user online", () => {
    const shown = told(undefined, {}, [on("cn", "busy", "mine")]);
    expect(shown.status).toBe("busy");
    expect(shown.sessions).toMatchObject([{ session: "mine", provisional: true, freshness: "live" }]);
  });

  it("are not shown twice", () => {
    expect(
      told(view("automatic", on("cn", "online", "mine")), {}, [on("cn", "online", "mine")]).sessions,
    ).toHaveLength(1);
  });
});

describe("freshness", () => {
  it("is live up to 2 s, stale up to 60 s, unknown beyond", () => {
    expect(
      [0, LIMITS.staleAfterMs, LIMITS.staleAfterMs + 1, LIMITS.unknownAfterMs, UNKNOWN, Infinity].map(
        freshnessOf,
      ),
    ).toEqual(["live", "live", "stale", "stale", "unknown", "unknown"]);
  });

  it("is that of the least fresh region the answer rests on: the home's and the sessions'", () => {
    expect(told(view("automatic", on("us")), { cn: 100, us: 3_000, eu: UNKNOWN })).toMatchObject({
      freshness: "stale",
      stalenessMs: 3_000,
      asOfMs: 997_000,
    });
    expect(told(view("automatic", on("us")), { cn: 4_000, us: 3_000 })).toMatchObject({ stalenessMs: 4_000 });
  });

  it("of a user without a session rests on every region: any may have one that is not known here", () => {
    expect(told(view("automatic"), { us: 8_000 })).toMatchObject({
      status: "offline",
      freshness: "stale",
      stalenessMs: 8_000,
    });
    expect(told(view("invisible", on("cn")), { us: 8_000 })).toMatchObject({ stalenessMs: 8_000 });
  });

  it("of one never heard of rests on every region", () => {
    expect(told(undefined, { eu: 5_000 })).toMatchObject({ freshness: "stale", version: 0 });
    expect(told(undefined, { eu: 5_000 })).not.toHaveProperty("home");
  });

  it("of a region never heard of is no data, not 0", () => {
    expect(told(undefined, { us: Infinity })).toMatchObject({
      freshness: "unknown",
      stalenessMs: null,
      asOfMs: null,
    });
  });

  it("of each session is its region's", () => {
    const { sessions } = told(view("automatic", on("cn"), on("us"), on("eu")), { us: 3_000, eu: UNKNOWN });
    expect(sessions.map(({ freshness }) => freshness)).toEqual(["live", "stale", "unknown"]);
  });
});
