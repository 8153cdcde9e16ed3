/** Friend requests at one node, for the tests: the service over a fake log, what it appends stored and folded at once. */
import type { Command, Stance } from "../../../replicator/core/commands.ts";
import { friendsFeature } from "../../../services/friends/feature.ts";
import type { ApiKeys } from "../../../services/presence/auth.ts";
import { Bench } from "../../core/presence-bench.ts";
import { node } from "../presence/http/fake.ts";
import type { Node } from "../presence/http/fake.ts";
import { listPath, sendInto } from "./calls.ts";
import type { Answer, Send } from "./calls.ts";

export let bench = new Bench();
export let served: Node = node();
export let send: Send = sendInto(served.app, () => Promise.resolve());

/** A new node, for the next test. */
export function begin(): void {
  bench = new Bench().caughtUp();
  ({ served, send } = serve([]));
}

/** The node of the bench, with what it appends stored and folded at once. */
export function serve(keys: ApiKeys): { served: Node; send: Send } {
  const clock = () => ({ monoMs: bench.ms, wallMs: 1_000_000 + bench.ms });
  const feature = friendsFeature({ presence: bench.presence, clock });
  const one = node(
    {
      consistency: (options) => bench.presence.consistency(options),
      applied: () => bench.presence.applied(),
    },
    { features: [feature], keys },
  );
  const meanwhile = async (): Promise<void> => {
    await bench.settle();
    bench.fold();
  };
  return { served: one, send: sendInto(one.app, meanwhile) };
}

/** Facts that the log has already. */
export function said(...commands: Command[]): void {
  bench.log.push(commands);
  bench.fold();
}

export function asked(user: string, other: string, round = 1): Stance {
  return { kind: "stance", user, other, word: "asked", round, message: "", atMs: 5 };
}

/** So many facts that the log has already. */
export function many(count: number, stance: (name: string) => Stance): void {
  said(...Array.from({ length: count }, (_, index) => stance(`user-${index}`)));
}

export const ask = (from: string, to: string, message?: string): Promise<Answer> =>
  send("POST", "/v1/friend-requests", { from, to, ...(message !== undefined && { message }) });
export const act = (id: string, verb: string, user?: string): Promise<Answer> =>
  send("POST", `/v1/friend-requests/${id}/${verb}`, user === undefined ? {} : { user });
export const list = (user: string, query = ""): Promise<Answer> => send("GET", listPath(user, query));
export const stateOf = (a: string, b: string): string =>
  bench.presence.node.replica.friends.pairOf(a, b).state;
export const stancesInLog = (): number => bench.log.flat().filter(({ kind }) => kind === "stance").length;

export async function metric(name: string): Promise<string[]> {
  const { body } = await served.app.inject("/metrics");
  return body.split("\n").filter((line) => line.startsWith(name) && !line.endsWith(" 0"));
}
