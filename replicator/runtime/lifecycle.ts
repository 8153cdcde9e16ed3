/** How a process ends: on a signal, on an error nobody handled, or with its parent; always after `stop`, and at the latest after 10 s. */
import closeWithGrace from "close-with-grace";

import type { Logger } from "./logger.ts";

const GRACE_MS = 10_000;

export function endWith(options: {
  logger: Logger;
  stop: () => Promise<void>;
  exitWithParent: boolean;
}): void {
  const { logger } = options;
  const { close } = closeWithGrace({ delay: GRACE_MS, logger: false }, async ({ signal, err }) => {
    if (err === undefined) logger.info({ event: "stopping", signal: signal ?? "parent gone" });
    else logger.fatal({ event: "crashed", err });
    await options.stop();
  });
  if (!options.exitWithParent) return;
  // The parent holds the other end of standard input: it closes when the parent dies, however it dies.
  process.stdin.resume();
  process.stdin.on("end", close);
  process.stdin.on("error", close);
}
