/**
 * How a write is acknowledged: `ack=local` when it is in this region's log, `ack=peer` when another region has copied it as well.
 * Rule (invariant 4): a local acknowledgement survives whatever this region's NATS survives; one by a peer survives the loss of either.
 */
import { formatToken } from "../../replicator/core/token.ts";
import type { Token } from "../../replicator/core/token.ts";
import type { NodeOperations } from "./operations.ts";
import { Refusal } from "./problems.ts";

export const ACKS = ["local", "peer"] as const;
export type Ack = (typeof ACKS)[number];

/**
 * The write's token as text, when it is acknowledged as asked for. Throws {@link Refusal} `not-copied` where no peer has it in time;
 * `members` then say what was written all the same.
 */
export async function acknowledged(
  operations: NodeOperations,
  ack: Ack | undefined,
  token: Token,
  members: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  if (ack === "peer") {
    const confirmed = await operations.confirm(token);
    if (!confirmed.ok) {
      const { problem } = confirmed;
      throw new Refusal({ ...problem, members: { ...problem.members, ...members } });
    }
  }
  return formatToken(token);
}
