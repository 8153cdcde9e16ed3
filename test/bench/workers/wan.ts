/** The simulated WAN link of `visible-lag`, in a process of its own so that nobody's work delays its timers. */
import { WanLink } from "../../../infra/wan.ts";
import { serve } from "../support/rpc.ts";

export interface WanOpen {
  readonly rttMs: number;
  /** The port in region cn that us reaches through the link. */
  readonly port: number;
}

const calls = {
  /** Returns the port at which us reaches it. */
  open: async ({ rttMs, port }: WanOpen): Promise<number> => {
    const link = new WanLink("cn", "us", { rttMs });
    const listener = await link.listen("us", { host: "127.0.0.1", port });
    return listener.port;
  },
};
export type WanCalls = typeof calls;

serve(calls);
