/** What the clients' ledger concludes: of implicit logins, that one session of the device may stand for another, and of others not. */
import { describe, expect, it } from "vitest";
import { Ledger, WEAK_DEVICE } from "./ledger.ts";
import { TTL_MS } from "./settings.ts";

/** Those for the last of the sessions, as region, device and last beat. */
function standIns(...sessions: [region: string, device: string, beatMs: number][]): string[] {
  const ledger = new Ledger();
  const accounts = sessions.map(([region, device, beatMs], index) =>
    ledger.opening(
      `s${index}`,
      { user: "ann", region, device, platform: "", policy: "multi", status: "online" },
      beatMs,
    ),
  );
  return accounts.slice(-1).flatMap((last) => ledger.standIns(last, TTL_MS).map(({ id }) => id));
}

describe("sessions that may be shown in place of another", () => {
  it("are those of the same implicit login that its beats may have renewed", () => {
    expect(standIns(["cn", WEAK_DEVICE, 1], ["cn", WEAK_DEVICE, 2])).toEqual(["s0"]);
  });

  it("are none of another region, none without a beat for a TTL, and none of a client that knows its session", () => {
    expect(standIns(["us", WEAK_DEVICE, 1], ["cn", WEAK_DEVICE, 2])).toEqual([]);
    expect(standIns(["cn", WEAK_DEVICE, 0], ["cn", WEAK_DEVICE, 2])).toEqual([]);
    expect(standIns(["cn", "phone", 1], ["cn", "phone", 2])).toEqual([]);
  });
});
