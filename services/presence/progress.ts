/** What a node that cannot answer yet is busy with. Rule: shown in the matrix, and logged where it is new without its numbers. */
import type { Logger } from "../../replicator/runtime/logger.ts";

export class Progress {
  /** Empty when there is nothing to say. */
  detail = "";
  readonly #logger: Logger;
  readonly #show: (detail: string) => void;

  constructor(logger: Logger, show: (detail: string) => void) {
    this.#logger = logger;
    this.#show = show;
  }

  says(detail: string): void {
    const isNew = kindOf(detail) !== kindOf(this.detail);
    if (isNew && detail !== "") this.#logger.info({ event: "snapshotting", detail });
    this.detail = detail;
    this.#show(detail);
  }
}

function kindOf(detail: string): string {
  return detail.replace(/\d+/g, "");
}
