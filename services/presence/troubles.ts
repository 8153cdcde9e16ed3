/** What the logs that a node follows are in trouble with. Rule: each change is logged, what stays the same is not. */
import type { Region } from "../../replicator/core/commands.ts";
import type { Logger } from "../../replicator/runtime/logger.ts";

export class Troubles {
  /** By log; absent where all is well. */
  readonly byLog = new Map<Region, string>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** An empty detail is the end of it. */
  say(region: Region, detail: string): void {
    const before = this.byLog.get(region) ?? "";
    if (detail === "") this.byLog.delete(region);
    else this.byLog.set(region, detail);
    if (detail === before) return;
    const event = detail === "" ? "log-resumed" : "log-trouble";
    this.#logger[detail === "" ? "info" : "warn"]({ event, log: region, detail });
  }
}
