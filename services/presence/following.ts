/**
 * Follows the logs of all regions into one place: this region's own log, and the copies of the peers'. Rule: whose log a region's fold reads is
 * looked at again whenever something was decided in any of them.
 */
import { defined } from "../../replicator/core/assert.ts";
import type { Frame, Position, Region } from "../../replicator/core/commands.ts";
import type { Fold } from "../../replicator/core/fold.ts";
import { sourceOf } from "../../replicator/core/succession.ts";
import type { LogPosition } from "../../replicator/core/token.ts";
import type { Opened, ReadableLog } from "../../replicator/log/port.ts";
import { Follower } from "./follow.ts";
import type { Place } from "./follow.ts";
import { overIn } from "./heirs-log.ts";

/** Where frames go. */
export interface Sink {
  /** Of all regions. */
  folds(): readonly Fold[];
  at(region: Region): Place;
  fold(region: Region, position: Position, frame: Frame): void;
}

export interface FollowingOptions {
  readonly regions: readonly Region[];
  /** Opens the log of `of` for the region's fold. */
  readonly open: (of: Region, region: Region) => Promise<Opened<ReadableLog>>;
  readonly sink: Sink;
  /** Where the region's own log ends for all, though the sink's folds may not say so yet. */
  readonly end?: (region: Region) => LogPosition | undefined;
  readonly trouble: (region: Region, detail: string) => void;
  readonly lost: (region: Region, detail: string, astray: boolean) => void;
}

export class Following {
  readonly #followers: readonly Follower[];

  constructor({ regions, open, sink, end, trouble, lost }: FollowingOptions) {
    this.#followers = regions.map(
      (region) =>
        new Follower({
          region,
          open: (of) => open(of, region),
          source: () => sourceOf(sink.folds(), foldIn(sink, region)),
          end: () => end?.(region),
          over: () => overIn(sink.folds(), foldIn(sink, region))?.logId,
          at: () => sink.at(region),
          fold: (position, frame) => {
            sink.fold(region, position, frame);
            if (frame.commands.some(({ kind }) => kind === "set")) this.#look(region);
          },
          trouble: (detail) => trouble(region, detail),
          lost: (detail, astray) => lost(region, detail, astray),
        }),
    );
  }

  /** Regions whose logs are not folded yet as far as they stood at the start. */
  get behind(): Region[] {
    return this.#followers.filter((follower) => !follower.caughtUp).map(({ region }) => region);
  }

  start(): void {
    for (const follower of this.#followers) follower.start();
  }

  /** The region's own follower looks by itself. */
  #look(decided: Region): void {
    for (const follower of this.#followers) if (follower.region !== decided) follower.look();
  }

  /** Resolves when nothing will be folded any more. */
  async stop(): Promise<void> {
    await Promise.all(this.#followers.map((follower) => follower.stop()));
  }
}

function foldIn(sink: Sink, region: Region): Fold {
  const fold = sink.folds().find((one) => one.region === region);
  return defined(fold, "a replica has every region");
}
