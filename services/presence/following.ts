/**
 * Follows the logs of all regions into one place: this region's own log, and the copies of the peers'.
 */
import type { Frame, Position, Region } from "../../replicator/core/commands.ts";
import type { Opened, ReadableLog } from "../../replicator/log/port.ts";
import { Follower } from "./follow.ts";
import type { Place } from "./follow.ts";

/** Where frames go. */
export interface Sink {
  at(region: Region): Place;
  fold(region: Region, position: Position, frame: Frame): void;
}

export interface FollowingOptions {
  readonly regions: readonly Region[];
  readonly open: (region: Region) => Promise<Opened<ReadableLog>>;
  readonly sink: Sink;
  readonly trouble: (region: Region, detail: string) => void;
  readonly lost: (region: Region, detail: string, astray: boolean) => void;
}

export class Following {
  readonly #followers: readonly Follower[];

  constructor({ regions, open, sink, trouble, lost }: FollowingOptions) {
    this.#followers = regions.map(
      (region) =>
        new Follower({
          region,
          open: () => open(region),
          at: () => sink.at(region),
          fold: (position, frame) => sink.fold(region, position, frame),
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

  /** Resolves when nothing will be folded any more. */
  async stop(): Promise<void> {
    await Promise.all(this.#followers.map((follower) => follower.stop()));
  }
}
