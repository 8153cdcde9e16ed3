/** Bits that flip on the WAN, in frames of cn on their way to us. Rule: the frame is refused, and asked for again until it is whole. */
import { performance } from "node:perf_hooks";
import { waitFor } from "../../../../infra/demo/wait.ts";
import { linkAt, untilLink } from "../../health.ts";
import { atMost, exactly, type Figure } from "../../row.ts";
import type { Stage } from "../../stage.ts";

/** Begins a frame; the checksum of what is behind it follows. */
const FRAME = Buffer.from("RC");
/** Into what the checksum is of, in any frame. */
const BEHIND = 12;
const PATIENCE_MS = 30_000;
/** A link that was halted is tried again after 5 s. */
const LIVE_AGAIN_MS_MAX = 10_000;

export async function flipInFlight(
  stage: Stage,
  flights: number,
  say: (line: string) => void,
): Promise<Figure[]> {
  const us = stage.region("us");
  const wan = stage.wan("cn", "us");
  let told = 0;
  let slowestMs = 0;
  for (let i = 0; i < flights; i++) {
    await wan.flipOnce(FRAME, BEHIND);
    const sinceMs = performance.now();
    const reason = await blockedFor(stage);
    if (/checksum|broken|magic|malformed/.test(reason)) told += 1;
    say(`a bit flipped in flight: cn→us blocked: ${reason}`);
    const since = { sinceMs, timeoutMs: PATIENCE_MS };
    slowestMs = Math.max(slowestMs, await untilLink(us, ["cn", "us"], (state) => state === "live", since));
  }
  return [
    exactly("flipped in flight: refused and told why", told, flights),
    atMost("flipped in flight: live again after ms, slowest", Math.round(slowestMs), LIVE_AGAIN_MS_MAX),
  ];
}

/** The reason for which the link is blocked. */
async function blockedFor(stage: Stage): Promise<string> {
  const waiting = { what: "cn→us to be blocked", timeoutMs: PATIENCE_MS, everyMs: 10, signal: stage.signal };
  const { value } = await waitFor(waiting, async () => {
    const link = await linkAt(stage.region("us"), "cn", "us");
    return link?.state === "blocked"
      ? { done: true, value: link.reason ?? "" }
      : { done: false, seen: `${link?.state}: ${link?.reason}` };
  });
  return value;
}
