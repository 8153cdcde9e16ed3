/**
 * Flips one bit in the memory of a node process, from outside: `node --import …/hooks/memory.js`, then SIGWINCH. FAULTS_FLIP says in the
 * fold of which region's log, and how: `us` flips a bit and no more, `us,touched` as if a command changed the record in the same
 * moment, so that only the digests of other nodes tell. What was flipped goes to standard output, as a line of JSON.
 * Rule: nothing of the product is changed but that one bit.
 */
import { PresenceNode } from "../../../replicator/core/node.ts";
import type { UserRecord } from "../../../replicator/core/record.ts";

const [region = "", how = ""] = (process.env["FAULTS_FLIP"] ?? "").split(",");
const seen: { node: PresenceNode | undefined } = { node: undefined };
const step = Reflect.get(PresenceNode.prototype, "step");

PresenceNode.prototype.step = function (event, now) {
  seen.node = this;
  return step.call(this, event, now);
};

process.on("SIGWINCH", () => {
  const fold = seen.node?.replica.fold(region);
  const record = [...(fold?.table.values() ?? [])].find(({ sessions }) => sessions.length > 0);
  if (fold === undefined || record === undefined) throw new Error(`nobody is in the fold of ${region}`);
  const what = flip(record);
  if (how === "touched") fold.digest.touch(record);
  const time = new Date().toISOString();
  process.stdout.write(
    `${JSON.stringify({ event: "flipped", time, log: region, user: record.user, what })}\n`,
  );
});

/** The lowest bit of the last letter of a session's device. */
function flip(record: UserRecord): string {
  const [first, ...rest] = record.sessions;
  if (first === undefined) throw new Error("the record has no session");
  const { device } = first;
  const flipped = device.slice(0, -1) + String.fromCharCode(device.charCodeAt(device.length - 1) ^ 1);
  record.sessions = [{ ...first, device: flipped }, ...rest];
  return `${device} became ${flipped}`;
}
