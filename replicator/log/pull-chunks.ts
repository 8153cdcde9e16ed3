/**
 * Hands out a known number of messages of one JetStream pull consumer, one after another.
 * Rule: it holds no more of them than a pull's window, and what does not come is a failure, never a wait without end.
 */
import type { Connection } from "./connection.ts";
import { Pull, PullWindow, type Pulled } from "./pull.ts";

/** Heartbeats in a row after which the server has nothing more; one may have crossed a message. */
const IDLES_MAX = 2;

function nothing(): void {}

/** Undefined when all were handed out. A promise that `take` returns is waited for. */
export async function pullChunks(
  connection: Connection,
  stream: string,
  consumer: string,
  count: number,
  take: (piece: Uint8Array) => void | Promise<void>,
): Promise<
  { readonly ok: false; readonly reason: "unavailable" | "damaged"; readonly detail: string } | undefined
> {
  const client = connection.client();
  if (client === undefined) return { ok: false, reason: "unavailable", detail: "not connected" };
  const arrived: Pulled[] = [];
  let idles = 0;
  let failed: { readonly reason: "unavailable" | "damaged"; readonly detail: string } | undefined;
  let wake = nothing;
  const pull = new Pull(client, stream, consumer, new PullWindow(), {
    message: (pulled) => {
      idles = 0;
      arrived.push(pulled);
      wake();
    },
    idle: () => {
      idles += 1;
      if (idles < IDLES_MAX) return;
      failed = { reason: "damaged", detail: "not all chunks are there any more" };
      wake();
    },
    failed: (detail) => {
      failed = { reason: "unavailable", detail };
      wake();
    },
  });
  const unhook = connection.onChange((connected, detail) => {
    if (!connected) pull.fail(detail);
  });
  try {
    for (let taken = 0; taken < count;) {
      const next = arrived.shift();
      if (next !== undefined) {
        await take(next.message.data);
        pull.processed(next.size);
        taken += 1;
      } else if (failed !== undefined) {
        return { ok: false, ...failed };
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
    return undefined;
  } finally {
    unhook();
    pull.stop();
  }
}
