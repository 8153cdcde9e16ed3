/**
 * One presence node in the world: as `services/presence/node.ts` puts it together, without HTTP. Rule: it decides nothing; the node that
 * does not serve clients runs the core alone, with its duties, and keeps no leases.
 */
import type { Frame, Position, Region, SessionId } from "../../replicator/core/commands.ts";
import type { Now } from "../../replicator/core/lag.ts";
import { PresenceNode } from "../../replicator/core/node.ts";
import type { NodeEvent } from "../../replicator/core/node-events.ts";
import type { UserRecord } from "../../replicator/core/record.ts";
import type { Replica } from "../../replicator/core/replica.ts";
import { Appender } from "../../services/presence/appender.ts";
import { Engine } from "../../services/presence/engine.ts";
import type { Core } from "../../services/presence/engine.ts";
import { LostEnds } from "../../services/presence/lost-ends.ts";
import type { FriendRequests } from "../../services/friends/requests.ts";
import type { Presence } from "../../services/presence/presence.ts";
import type { Process } from "./machine.ts";
import { REGIONS } from "./settings.ts";
import { serving } from "./serving.ts";
import { placeText } from "./history.ts";
import type { Place } from "./history.ts";
import { recordsDiffer } from "./like-model.ts";
import { SIM_CODEC } from "./snapshot-codec.ts";
import { SimStore } from "./store.ts";
import type { World } from "./world.ts";

/** Often, so that a run sees some. */
const SNAPSHOT_MS = 3_000;

export class NodeHost {
  readonly region: Region;
  readonly name: string;
  /** Clients of the region speak to this one. */
  readonly serves: boolean;
  readonly #world: World;
  process: Process;
  node: PresenceNode;
  appender: Appender;
  engine: Engine | undefined;
  presence: Presence | undefined;
  friends: FriendRequests | undefined;
  lostEnds: LostEnds | undefined;
  /** Folded so far, counted here and not by the fold; nothing of a log never heard of. */
  readonly places = new Map<Region, Place>();
  /** When a frame of that log was folded last, in virtual time. */
  foldedAtMs = new Map<Region, number>();
  lastMinted: SessionId = "";
  /** The record that was changed without a command last, and what it said then. */
  flip: { readonly replica: Replica; readonly record: UserRecord; readonly untilMs: number } | undefined;

  constructor(world: World, region: Region, name: string, serves: boolean) {
    this.#world = world;
    this.region = region;
    this.name = name;
    this.serves = serves;
    this.process = world.process(name, region);
    this.node = new PresenceNode(region, REGIONS);
    this.appender = this.#newAppender(() => false);
  }

  /** Whether the frame at that place is folded here. */
  has(place: Place): boolean {
    return this.#world.history.has(this.places.get(place.strand.region), place);
  }

  get up(): boolean {
    return this.process.alive && !this.process.paused;
  }

  /** Whether the replica of the moment is not what commands made it. */
  get flipped(): boolean {
    const { flip } = this;
    return flip?.replica === this.node.replica && flip.record.preferredUntilMs === flip.untilMs;
  }

  get ready(): boolean {
    return this.up && (this.presence?.ready() ?? this.node.caughtUp);
  }

  /** A new life of the process. */
  start(): void {
    const world = this.#world;
    const process = world.process(this.name, this.region);
    this.process = process;
    this.places.clear();
    this.foldedAtMs = new Map();
    world.observer?.restarted(this);
    this.node = new PresenceNode(this.region, REGIONS);
    this.presence = undefined;
    this.friends = undefined;
    world.machine.after(process, 1, "starts", () => this.#run(process));
  }

  #run(process: Process): void {
    const world = this.#world;
    const { region, name } = this;
    const { clock } = process;
    const store = new SimStore(world, process, world.server(region));
    const appender = this.#newAppender(() => store.connected());
    this.appender = appender;
    const served = this.serves ? serving(world, this, appender, store) : undefined;
    this.presence = served?.presence;
    this.friends = served?.friends;
    if (this.presence !== undefined) this.node = this.presence.node;
    const inner = this.presence ?? this.#onlyDuties(appender, clock);
    const core: Core = {
      node: this.node,
      step: (event) => {
        inner.step(event);
        if (event.kind === "adopt") this.#adopted();
      },
      folded: (origin, position, frame) => {
        inner.folded(origin, position, frame);
        this.#folded(origin, position, frame);
      },
      tick: () => inner.tick(),
    };
    const lostEnds = new LostEnds({
      region,
      node: name,
      store: store.snapshots(),
      clock,
      logger: world.logger(name),
      replica: () => this.node.replica,
      alive: (session) => this.presence?.alive(session),
      write: async (commands) => {
        const homeward = this.presence?.homeward;
        if (homeward === undefined)
          return { ok: false, reason: "unavailable", detail: "the node serves nobody" };
        return homeward.append(commands.map((command) => homeward.address(command)));
      },
      reconcile: () => this.presence?.healing.hurry(),
    });
    this.lostEnds = lostEnds;
    const engine = new Engine({
      region,
      peers: REGIONS.filter((one) => one !== region),
      name,
      store,
      appender,
      aside: lostEnds,
      core,
      codec: SIM_CODEC,
      clock,
      logger: world.logger(name),
      malformed: () => world.machine.fail(`invariant 11: ${name} cannot read what was announced`),
      snapshotMs: SNAPSHOT_MS,
    });
    this.engine = engine;
    engine.start();
  }

  /** The core alone, as a node has it that serves nobody. */
  #onlyDuties(appender: Appender, clock: () => Now): Core {
    const { node } = this;
    const step = (event: NodeEvent): void => {
      for (const effect of node.step(event, clock())) {
        if (effect.kind === "append") {
          const { duty } = effect;
          void appender.append(effect.commands).then(({ ok }) => step({ kind: "settled", duty, ok }));
        } else if (effect.kind === "compared" || effect.kind === "corrupt") this.engine?.trust.heard(effect);
      }
    };
    return {
      node,
      step,
      folded: (region, position, frame) => step({ kind: "frame", region, position, frame }),
      tick: () =>
        step({
          kind: "tick",
          silent: this.#world.serving(this.region).presence?.healing.isSilent() === true,
        }),
    };
  }

  #newAppender(connected: () => boolean): Appender {
    return new Appender({ region: this.region, node: this.name, clock: this.process.clock, connected });
  }

  mintSession(): SessionId {
    this.#world.sessionsMinted += 1;
    this.lastMinted = `s${this.#world.sessionsMinted}`;
    return this.lastMinted;
  }

  /** Each fold goes from frame to frame as its log has them, from one log to the one that goes on from where it stands. */
  #folded(origin: Region, position: Position, frame: Frame): void {
    const { history, machine, observer } = this.#world;
    const fold = this.node.replica.fold(origin);
    const before = this.places.get(origin);
    if (fold === undefined || fold.logId === "") return;
    if (fold.position === before?.position && fold.logId === before.strand.logId) return;
    const next = fold.logId === frame.logId ? history.next(before, frame, position) : undefined;
    if (next === undefined || fold.position !== position) {
      machine.fail(
        `invariant 1: ${this.name} went from ${placeText(before)} to ${fold.logId} ${fold.position} in the log of ${origin}`,
      );
      return;
    }
    this.places.set(origin, next);
    this.foldedAtMs.set(origin, machine.nowMs);
    observer?.folded(this, next);
  }

  /** The replica is another: made from a snapshot, or from the logs alone. Where a position may mean several places, its state tells. */
  #adopted(): void {
    const { history, machine, observer } = this.#world;
    for (const fold of this.node.replica.folds) {
      const { region, logId, position } = fold;
      const places = logId === "" ? [] : history.places(region, logId, position);
      const alike =
        places.length === 1 ? places : places.filter((place) => !recordsDiffer(fold, history.lineage(place)));
      const [place] = alike;
      if (place !== undefined) this.places.set(region, place);
      else if (logId === "") this.places.delete(region);
      else
        machine.fail(
          `invariant 1: ${this.name} took over what no log of ${region} says at ${logId} ${position}`,
        );
    }
    observer?.adopted(this);
  }
}
