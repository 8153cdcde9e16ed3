/**
 * The origin of `visible-lag`: hands changes to the shipped appender at a steady rate, each carrying the moment it was handed over;
 * in other rounds, publishes bare NATS messages at the same rate.
 * Rule: what is due is sent at the next turn of a 1 ms timer and stamped then, so a stall of this process sends a burst and hides none.
 */
import { connect, type NatsConnection } from "nats";
import type { Open, Update } from "../../../replicator/core/commands.ts";
import type { AppendOutcome } from "../../../services/presence/appender.ts";
import { sharedNowMs } from "../support/now.ts";
import { openOrigin, type Origin } from "../support/origin.ts";
import { serve } from "../support/rpc.ts";
import { stampText } from "../support/stamp.ts";

export interface LagOpen {
  readonly region: string;
  readonly natsUrl: string;
  readonly users: number;
  /** Of the bare messages. */
  readonly subject: string;
}
export interface LagRun {
  readonly perSecond: number;
  readonly seconds: number;
}
export interface LagSent {
  readonly sent: number;
  readonly seconds: number;
}

interface Opened {
  readonly origin: Origin;
  readonly client: NatsConnection;
  readonly subject: string;
  readonly region: string;
  readonly users: number;
}

const TIMER_MS = 1;
let open: Opened | undefined;
let made = 0;

const calls = {
  open: async ({ region, natsUrl, users, subject }: LagOpen): Promise<void> => {
    const [origin, client] = [await openOrigin(region, natsUrl), await connect({ servers: natsUrl })];
    open = { origin, client, subject, region, users };
  },

  /** Resolves when every change is acknowledged. */
  changes: async (run: LagRun): Promise<LagSent> => {
    const { origin, region, users } = opened();
    const outcomes: Promise<AppendOutcome>[] = [];
    const result = await steadily(run, () => {
      outcomes.push(origin.appender.append([nextChange(region, users)]));
    });
    const failed = (await Promise.all(outcomes)).filter(({ ok }) => !ok);
    if (failed.length > 0) throw new Error(`${failed.length} appends failed`);
    return result;
  },

  /** Resolves when the server has them all. */
  messages: async (run: LagRun): Promise<LagSent> => {
    const { client, subject } = opened();
    const result = await steadily(run, () => client.publish(subject, stampText(sharedNowMs())));
    await client.flush();
    return result;
  },
};
export type LagOriginCalls = typeof calls;

function opened(): Opened {
  if (open === undefined) throw new Error("open comes first");
  return open;
}

/** Every user in turn logs in, then changes status, then logs in anew on the same device. */
function nextChange(region: string, users: number): Open | Update {
  const index = made % users;
  const life = Math.floor(made / users);
  made += 1;
  const user = `user${String(index).padStart(6, "0")}`;
  const session = `${user}-${Math.floor(life / 2)}`;
  const state = stampText(sharedNowMs());
  if (life % 2 === 1) return { kind: "update", user, session, status: "away", state };
  const sinceMs = Date.now();
  return {
    kind: "open",
    user,
    session: {
      session,
      region,
      device: "web",
      platform: "web",
      policy: "multi",
      status: "online",
      state,
      sinceMs,
    },
  };
}

function steadily({ perSecond, seconds }: LagRun, send: () => void): Promise<LagSent> {
  const count = perSecond * seconds;
  const startedMs = sharedNowMs();
  let sent = 0;
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(count, ((sharedNowMs() - startedMs) / 1_000) * perSecond);
      for (; sent < due; sent++) send();
      if (sent < count) return;
      clearInterval(timer);
      resolve({ sent, seconds: (sharedNowMs() - startedMs) / 1_000 });
    }, TIMER_MS);
  });
}

serve(calls);
