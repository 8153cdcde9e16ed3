/**
 * Seals this region's copies as the logs say, and tells the core how: of which copy the end is known, and how far others have copied this
 * region's log. Rule: a node that is not caught up seals nothing; a seal is told only when it is stored and the copy's end was read after it.
 */
import { sealOf, sealValue } from "../../replicator/core/seal.ts";
import type { Seal } from "../../replicator/core/seal.ts";
import type { Region } from "../../replicator/core/commands.ts";
import type { LogStore } from "../../replicator/log/port.ts";
import { COPIED_TOPIC, decodeCopied } from "../../replicator/runtime/announcement.ts";
import type { Logger } from "../../replicator/runtime/logger.ts";
import type { Core } from "./engine.ts";

export interface SealingOptions {
  readonly peers: readonly Region[];
  readonly store: LogStore;
  readonly core: Core;
  readonly logger: Logger;
}

/** How often is looked whether a copy is to be sealed: a fence waits for it. */
const LOOK_MS = 250;

export class Sealing {
  readonly #options: SealingOptions;
  /** What each copy was sealed with by this node since the server was connected to: it may have come back with an older state. */
  readonly #done = new Map<Region, string>();
  readonly #unlisten: () => void;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: SealingOptions) {
    const { store, core } = options;
    this.#options = options;
    this.#unlisten = store.listen(COPIED_TOPIC, (payload) => {
      const copied = decodeCopied(payload);
      if (copied !== undefined) core.step({ kind: "copied", ...copied });
    });
    store.onConnection(() => this.#done.clear());
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
      });
    }, LOOK_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#unlisten();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { peers, core } = this.#options;
    for (const peer of peers) {
      const seal = core.node.caughtUp ? sealOf(core.node.replica.folds, peer) : undefined;
      if (seal !== undefined && this.#done.get(peer) !== sealValue(seal)) await this.#seal(peer, seal);
    }
  }

  async #seal(region: Region, seal: Seal): Promise<void> {
    const { store, core, logger } = this.#options;
    const opened = await store.openCopy(region, { create: true });
    if (!opened.ok) return this.#failed(region, opened.detail);
    const sealing = await opened.log.seal(seal);
    if (!sealing.ok) return this.#failed(region, sealing.detail);
    const ended = await opened.log.extent();
    if (!ended.ok) return this.#failed(region, ended.detail);
    this.#done.set(region, sealValue(seal));
    const { logId, head } = ended.extent;
    const { sealed } = sealing;
    logger.warn({ event: "copy-sealed", log: region, detail: sealValue(sealed), end: head });
    core.step({ kind: "sealed", region, sealed: { seal: sealed, logId, head } });
  }

  #failed(region: Region, detail: string): void {
    this.#options.logger.warn({ event: "seal-failed", log: region, detail });
  }
}
