/**
 * Answers the nodes of this region that ask how far the logs of all regions go: of each region what its own server says. Rule: a region
 * that does not answer is left out; the asker knows whom it asked about.
 */
import type { Region } from "./core/commands.ts";
import type { LogStore, OriginLog } from "./log/port.ts";
import { HEADS_ASKED_TOPIC, HEAD_TOPIC, decodeAsk, encodeHead } from "./runtime/heads.ts";

export interface HeadDeskOptions {
  readonly region: Region;
  readonly local: LogStore;
  readonly peers: ReadonlyMap<Region, LogStore>;
}

/** Asks under way per region; those beyond are not answered. */
const ASKING_MAX = 32;

/** Answers until the returned function is called. */
export function openHeadDesk({ region, local, peers }: HeadDeskOptions): () => void {
  const windows = [...peers, [region, local] as const].map(
    ([origin, store]) => new Window(origin, store, local),
  );
  return local.listen(HEADS_ASKED_TOPIC, (payload) => {
    const ask = decodeAsk(payload);
    if (ask !== undefined) for (const window of windows) void window.answer(ask);
  });
}

/** Asks one region's server. */
class Window {
  readonly #region: Region;
  readonly #store: LogStore;
  readonly #local: LogStore;
  #log: OriginLog | undefined;
  #asking = 0;

  constructor(region: Region, store: LogStore, local: LogStore) {
    this.#region = region;
    this.#store = store;
    this.#local = local;
  }

  async answer(ask: string): Promise<void> {
    if (this.#asking === ASKING_MAX || !this.#store.connected()) return;
    this.#asking += 1;
    const extent = await this.#extent();
    this.#asking -= 1;
    if (extent === undefined) return;
    const { logId, head } = extent;
    this.#local.announce(HEAD_TOPIC, encodeHead({ ask, region: this.#region, logId, head }));
  }

  async #extent(): Promise<{ readonly logId: string; readonly head: number } | undefined> {
    const known = await this.#log?.extent();
    if (known?.ok === true && known.extent.logId === this.#log?.logId) return known.extent;
    const opened = await this.#store.openLog(this.#region, { create: false });
    this.#log = opened.ok ? opened.log : undefined;
    const answer = await this.#log?.extent();
    return answer?.ok === true ? answer.extent : undefined;
  }
}
