/**
 * The yardstick of `replication`: one key per user in a NATS key-value bucket, written as the KV client writes it - a JetStream publish
 * to `$KV.BUCKET.KEY` on a stream that keeps one message per subject - with a window of unanswered puts.
 */
import {
  DiscardPolicy,
  jetstream,
  jetstreamManager,
  type JetStreamClient,
  StorageType,
} from "@nats-io/jetstream";
import { connect } from "nats";
import { random32 } from "../support/stats.ts";
import { serve } from "../support/rpc.ts";

export interface KvOpen {
  readonly url: string;
  readonly users: number;
  readonly valueBytes: number;
}
export interface KvResult {
  readonly puts: number;
  readonly seconds: number;
}

const BUCKET = "bench";
const WINDOW = 1_000;

let publish: (() => Promise<unknown>) | undefined;

const calls = {
  open: async ({ url, users, valueBytes }: KvOpen): Promise<void> => {
    const client = await connect({ servers: url });
    const manager = await jetstreamManager(client);
    // What the KV client creates for a bucket with a history of one.
    await manager.streams.add({
      name: `KV_${BUCKET}`,
      subjects: [`$KV.${BUCKET}.>`],
      max_msgs_per_subject: 1,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      allow_rollup_hdrs: true,
      deny_delete: true,
    });
    publish = putter(jetstream(client), users, valueBytes);
  },

  run: async ({ seconds }: { seconds: number }): Promise<KvResult> => {
    const put = publish;
    if (put === undefined) throw new Error("open comes first");
    const startedMs = performance.now();
    const endMs = startedMs + seconds * 1_000;
    let puts = 0;
    const lane = async (): Promise<void> => {
      while (performance.now() < endMs) {
        await put();
        puts += 1;
      }
    };
    await Promise.all(Array.from({ length: WINDOW }, lane));
    return { puts, seconds: (performance.now() - startedMs) / 1_000 };
  },
};
export type KvCalls = typeof calls;

/** Puts the same bytes for a user at random. */
function putter(client: JetStreamClient, users: number, valueBytes: number): () => Promise<unknown> {
  const random = random32(3);
  const value = new Uint8Array(valueBytes).fill(0x78);
  return () => client.publish(`$KV.${BUCKET}.user${String(random() % users).padStart(6, "0")}`, value);
}

serve(calls);
