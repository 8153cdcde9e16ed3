/**
 * A region that is lost, as the operators of the others see it: they evacuate it, and read of what it had said alone. Rule: a write that the
 * region accepts before its node has folded all that its heir decided is counted, and so is one that it refuses.
 */
import { performance } from "node:perf_hooks";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { waitFor } from "../../../../infra/demo/wait.ts";
import { ask } from "../../operator.ts";
import type { Stage } from "../../stage.ts";

const RegionsShape = Compile(
  Type.Object({
    regions: Type.Array(
      Type.Object({
        region: Type.String(),
        succession: Type.Optional(Type.Object({ phase: Type.String(), heir: Type.String() })),
      }),
    ),
  }),
);
const ReturnedShape = Compile(
  Type.Object({
    finished: Type.Boolean(),
    frames: Type.Integer(),
    counts: Type.Unknown(),
    listed: Type.Array(Type.Object({ user: Type.String() })),
  }),
);
const PATIENCE_MS = 90_000;
const EVERY_MS = 100;

export class LostRegion {
  acceptedEarly = 0;
  refused = 0;
  readonly #stage: Stage;
  readonly #region: string;
  readonly #peers: readonly string[];

  constructor(stage: Stage, region: string, peers: readonly string[]) {
    this.#stage = stage;
    this.#region = region;
    this.#peers = peers;
  }

  /** Asks the others in turn until one succeeds the region and all of them know: whoever is behind gives up. Resolves to the heir. */
  async evacuate(): Promise<string> {
    const { signal } = this.#stage;
    const waiting = { what: "the region to be succeeded", timeoutMs: PATIENCE_MS, everyMs: EVERY_MS, signal };
    const { value } = await waitFor(waiting, async () => {
      const known = await Promise.all(this.#peers.map((peer) => this.#succession(peer)));
      const [heir = ""] = known.map((one) => (one?.phase === "succeed" ? one.heir : ""));
      if (heir !== "" && known.every((one) => one?.phase === "succeed")) return { done: true, value: heir };
      const isFree = known.every(
        (one) => one === undefined || one.phase === "given-up" || one.phase === "yield",
      );
      if (isFree) await this.#ask();
      return { done: false, seen: known.map((one) => one?.phase ?? "nothing").join(", ") };
    });
    return value;
  }

  /** Tries to write at the region until it accepts; resolves with that moment. */
  async watchWrites(): Promise<number> {
    const { api } = this.#stage.region(this.#region);
    const { signal } = this.#stage;
    const waiting = {
      what: "a write to be accepted again",
      timeoutMs: PATIENCE_MS,
      everyMs: EVERY_MS,
      signal,
    };
    let tried = 0;
    const { value } = await waitFor(waiting, async () => {
      const before = await this.#told();
      if (before === "") return { done: false, seen: "it does not know yet that it was succeeded" };
      const answer = await api.send("PUT", `/v1/users/knocker${(tried += 1)}/status`, {
        status: "automatic",
      });
      if (!answer.ok || answer.status !== 200) {
        if (answer.ok && answer.status === 503) this.refused += 1;
        return { done: false, seen: answer.ok ? JSON.stringify(answer.body) : answer.reason };
      }
      const acceptedMs = performance.now();
      if (before === "yield") return { done: true, value: acceptedMs };
      this.acceptedEarly += 1;
      return { done: false, seen: "it accepts while another region stands for it" };
    });
    return value;
  }

  /** What became of what the region had said alone, once all of it was gone through. */
  async returned(): Promise<{
    readonly users: readonly string[];
    readonly frames: number;
    readonly counts: string;
  }> {
    const { api } = this.#stage.region(this.#region);
    const { signal } = this.#stage;
    const waiting = {
      what: "the tail to be gone through",
      timeoutMs: PATIENCE_MS,
      everyMs: EVERY_MS,
      signal,
    };
    const { value } = await waitFor(waiting, async () => {
      const answer = await api.send("GET", `/v1/regions/${this.#region}/returned`);
      if (!answer.ok || answer.status !== 200 || !ReturnedShape.Check(answer.body))
        return { done: false, seen: JSON.stringify(answer) };
      const { finished, frames, counts, listed } = answer.body;
      const users = listed.map(({ user }) => user);
      return finished
        ? { done: true, value: { users, frames, counts: JSON.stringify(counts) } }
        : { done: false, seen: "not all" };
    });
    return value;
  }

  /** One accepts it, or none does yet: that a region is lost shows with time, and who is behind says so. */
  async #ask(): Promise<void> {
    for (const to of this.#peers) {
      const { api } = this.#stage.region(to);
      const body = { to, reason: "row 21" };
      const answer = await api.send("POST", `/v1/regions/${this.#region}/evacuate`, body);
      if (answer.ok && answer.status === 200) return;
    }
  }

  /** What the region itself knows of who stands for it; empty if nothing, or if it does not answer. */
  async #told(): Promise<string> {
    const answer = await this.#stage.region(this.#region).api.send("GET", "/v1/regions");
    if (!answer.ok || answer.status !== 200 || !RegionsShape.Check(answer.body)) return "";
    return answer.body.regions.find(({ region }) => region === this.#region)?.succession?.phase ?? "";
  }

  async #succession(at: string): Promise<{ readonly phase: string; readonly heir: string } | undefined> {
    const { regions } = await ask(this.#stage.region(at).api, ["GET", "/v1/regions"], 200, RegionsShape);
    return regions.find(({ region }) => region === this.#region)?.succession;
  }
}
