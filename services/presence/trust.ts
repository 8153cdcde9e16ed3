/**
 * What a node makes of its own replica: whether it is to be trusted, and why it is due to be made anew. Rule: the logs decide. A record
 * that changed by itself, another digest than the log has, or another frame than was folded, and nothing of it is stored or begun from.
 */
import type { Region } from "../../replicator/core/commands.ts";
import { bucketOf } from "../../replicator/core/digest.ts";
import type { IntegrityEffect } from "../../replicator/core/node-events.ts";
import type { LinkMatrix } from "../../replicator/core/matrix.ts";
import type { Clock } from "../../replicator/runtime/clock.ts";
import type { Logger } from "../../replicator/runtime/logger.ts";
import type { Doubts } from "./doubts.ts";

export interface TrustOptions {
  readonly region: Region;
  readonly name: string;
  readonly doubts: Doubts;
  readonly matrix: LinkMatrix;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A replica is made anew at most so often. */
const RESYNC_SOONEST_MS = 5_000;

export class Trust {
  /** What the digests have shown, and how often the replica was made anew. */
  readonly stats = { compared: 0, mismatches: 0, corrupt: 0, resyncs: 0 };
  readonly #options: TrustOptions;
  #distrusted = false;
  #astray = false;
  #dueFor: string | undefined;
  #begunAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: TrustOptions) {
    this.#options = options;
  }

  /** A digest or a record says that the replica is wrong, and it was not made anew yet. */
  get isDistrusted(): boolean {
    return this.#distrusted;
  }

  /** The replica says of a log what that never had. */
  get isAstray(): boolean {
    return this.#astray;
  }

  /** What the digests say of a record, or of a whole fold. */
  heard(effect: IntegrityEffect): void {
    const { region: own, name, doubts, matrix, clock, logger } = this.#options;
    const { region } = effect;
    if (effect.kind === "corrupt") {
      this.stats.corrupt += 1;
      const { user } = effect;
      logger.error({ event: "record-corrupt", log: region, bucket: bucketOf(user), user });
    } else {
      this.stats.compared += 1;
      const { buckets, at, node } = effect;
      if (buckets.length === 0) {
        if (region !== own || node !== name) doubts.confirmed(region, at);
        return matrix.verified(region, clock());
      }
      this.stats.mismatches += 1;
      logger.error({ event: "digest-mismatch", log: region, at, buckets, digestOf: node, here: name });
    }
    doubts.contradicted(region);
    this.#distrusted = true;
    this.#dueFor ??= `digest of ${region}`;
  }

  /** The replica cannot go on with the log. */
  lost(region: Region, detail: string, astray: boolean): void {
    this.#astray ||= astray;
    this.#dueFor ??= `log of ${region}: ${detail}`;
  }

  /** Why the replica is to be made anew now; undefined where it is not, or was a moment ago. */
  get due(): string | undefined {
    const sinceMs = this.#options.clock().monoMs - this.#begunAtMs;
    return sinceMs < RESYNC_SOONEST_MS ? undefined : this.#dueFor;
  }

  /** It is being made anew. */
  begun(): void {
    this.#begunAtMs = this.#options.clock().monoMs;
  }

  /** That was all that could be done; what is found wrong from now on is due again. */
  done(): void {
    this.#dueFor = undefined;
  }

  /** Another replica takes its place: made of the logs. */
  renewed(): void {
    this.stats.resyncs += 1;
    this.#distrusted = false;
    this.#astray = false;
  }
}
