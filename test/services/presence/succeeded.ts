/** Three regions of which cn is lost, and what its heir us decides of it, as decisions written by hand. */
import type { Command, Region } from "../../../replicator/core/commands.ts";
import type { Fold } from "../../../replicator/core/fold.ts";
import { successionKey } from "../../../replicator/core/succession.ts";
import { MemoryLogStore } from "../../../replicator/log/memory.ts";
import { decodeFrame, encodeFrame } from "../../../replicator/wire/codec.ts";
import { SnapshotDecoder, encodeSnapshot } from "../../../replicator/wire/snapshot-stream.ts";
import type { RunningNode } from "../../../services/presence/node.ts";
import { Snapshots } from "../../../services/presence/snapshots.ts";
import { imported, partsOf } from "../../core/observed.ts";
import { Regions, until } from "./regions.ts";

export const USERS = Array.from({ length: 20 }, (_, number) => `user${number}`);
/** Of cn, written when it could be heard no more. */
export const UNHEARD = ["unheard1", "unheard2"];

export class Lost {
  readonly regions: Regions;

  constructor() {
    this.regions = new Regions(["cn", "us", "eu"]);
  }

  stop(): Promise<void> {
    return this.regions.stop();
  }

  fold(at: Region, region: Region = "cn"): Fold {
    const fold = this.regions.node(at).presence.node.replica.fold(region);
    if (fold === undefined) throw new Error(region);
    return fold;
  }

  /** All know USERS of cn; cn is gone, with UNHEARD that nobody else has. */
  async lose(): Promise<void> {
    const { regions } = this;
    await regions.start("cn", "us", "eu");
    await regions.open("cn", ...USERS);
    for (const at of ["us", "eu"]) await until(`${at} sees all`, () => regions.online(at) === USERS.length);
    for (const at of ["us", "eu"]) await regions.stopReplicator(at);
    await regions.open("cn", ...UNHEARD);
    await regions.stopReplicator("cn");
    await regions.stopNode("cn");
    regions.server("cn").stop();
    for (const at of ["us", "eu"]) regions.startReplicator(at);
  }

  async decide(value: string): Promise<void> {
    const done = await this.regions.node("us").presence.decide(successionKey("cn"), value, "op", "lost");
    if (!done.ok) throw new Error(done.problem.detail);
  }

  /** us goes on with cn's log from the end of the shorter of the copies that us and eu have. */
  async succeed(): Promise<void> {
    await this.decide("fence 1");
    // Both have the same end: nobody copies any more.
    const [us, eu] = [this.fold("us"), this.fold("eu")];
    const base = us.position <= eu.position ? us : eu;
    const { logId, position, checksum } = base;
    await this.decide(`succeed 1 of ${logId} at ${position} sum ${checksum.toString(16)}`);
  }

  /** The region's fold of cn reads the log of us, and goes on there. */
  async follows(at: Region): Promise<void> {
    const heirs = this.fold("us", "us").logId;
    await until(`${at} has gone over`, () => this.fold(at).logId === heirs);
    const { position } = this.fold("us", "us");
    await until(`${at} goes on`, () => this.fold(at).logId !== heirs || this.fold(at).position > position);
  }

  /**
   * cn is back, without a node: its log begins anew, with two frames, where the fold of cn stands at us, and a snapshot is there, as a node of cn would have
   * taken it. Resolves to the log's identity.
   */
  async beginAnew(): Promise<string> {
    const server = this.regions.server("cn");
    const { logId, position, checksum } = this.fold("us");
    const store = new MemoryLogStore(server);
    const old = await store.openLog("cn", { create: false });
    if (!old.ok) throw new Error(old.detail);
    const opened = await store.renewLog("cn", old.log.logId);
    if (!opened.ok) throw new Error(opened.detail);
    const { log } = opened;
    const write = async (at: number, command: Command): Promise<Uint8Array> => {
      const about = { region: "cn", logId: log.logId, node: "by hand", committedAtMs: Date.now() };
      const bytes = encodeFrame({ ...about, commands: [command] });
      const put = await log.putBack({ position: at, logId: log.logId, bytes });
      if (!put.ok) throw new Error(put.detail);
      return bytes;
    };
    const bytes = await write(1, { kind: "renewed", logId, position, checksum });
    const { replica } = this.node("us").presence.node;
    const cns = imported(partsOf(replica), replica.regions);
    const begun = decodeFrame(bytes);
    if (!begun.ok || cns.apply("cn", 1, begun.frame) !== "applied") throw new Error("it begins elsewhere");
    const snapshots = new Snapshots({
      region: "cn",
      regions: this.regions.names,
      node: "by hand",
      store: store.snapshots(),
      codec: { encode: encodeSnapshot, decoder: (take) => new SnapshotDecoder(take) },
      clock: () => ({ monoMs: 0, wallMs: Date.now() }),
    });
    const taken = await snapshots.take(cns);
    if (!taken.ok) throw new Error(taken.detail);
    await write(2, { kind: "mark" });
    return log.logId;
  }

  node(at: Region): RunningNode {
    return this.regions.node(at);
  }

  async restart(at: Region): Promise<void> {
    await this.regions.stopNode(at);
    await this.regions.startNode(at);
    await until(`${at} is ready`, () => this.node(at).presence.ready());
  }
}
