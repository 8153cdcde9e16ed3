/**
 * Whether this node is abreast of its region's own log: another node of the region may have opened what this one has not folded yet.
 * Rule: what a node does not know it judges only after it has folded all that the log held when it was asked; where the log's end cannot be
 * learnt, or is not folded in time, it says so. However many ask, one question is under way and one waits behind it, and nobody is answered
 * by a question that was sent before they asked.
 */
import type { Region } from "../../replicator/core/commands.ts";
import { LIMITS } from "../../replicator/core/limits.ts";
import type { LogPosition, Token } from "../../replicator/core/token.ts";
import type { LogStore, OriginLog } from "../../replicator/log/port.ts";
import { pause } from "../../replicator/runtime/pause.ts";
import { notReady, tooManyWaiters } from "./failures.ts";
import type { Outcome } from "./service.ts";
import type { Waiters } from "./waiters.ts";

/** Asks where the log of the node's own region ends now; or says why that cannot be told. */
export type LogEnd = () => Promise<LogPosition | string>;

export interface AbreastOptions {
  readonly region: Region;
  readonly waiters: Waiters;
  readonly applied: () => Token;
  /** Left out where nobody else appends to the log: then the node knows all that there is to know. */
  readonly logEnd: LogEnd | undefined;
}

/** Questions are sent this long after they were first wanted: however fast the server answers, it is asked no more often. */
export const GATHER_MS = 5;
const NOWHERE: LogPosition = { logId: "", position: 0 };

export class Abreast {
  readonly #options: AbreastOptions;
  #waiting = 0;
  /** Resolves to what stands in the way; to nothing when what the log held is folded. */
  #underWay: Promise<string> | undefined;
  /** Not sent yet: who asks now joins it. */
  #next: Promise<string> | undefined;

  constructor(options: AbreastOptions) {
    this.#options = options;
  }

  /** Ok when all is folded that the log held at the call; `not-ready` within `LIMITS.appendTimeoutMs` when that cannot be said. */
  async reached(): Promise<Outcome<undefined>> {
    const { logEnd } = this.#options;
    if (logEnd === undefined) return { ok: true, value: undefined };
    if (this.#waiting >= LIMITS.waitersMax) return tooManyWaiters();
    this.#waiting += 1;
    this.#next ??= this.#question(logEnd, this.#underWay);
    const lacking = await inTime(this.#next);
    this.#waiting -= 1;
    return lacking === "" ? { ok: true, value: undefined } : notReady(lacking);
  }

  async #question(logEnd: LogEnd, before: Promise<string> | undefined): Promise<string> {
    await Promise.allSettled([before, pause(GATHER_MS)]);
    this.#underWay = this.#next;
    this.#next = undefined;
    const from = this.#here();
    const end = await logEnd();
    return typeof end === "string" ? end : this.#folded(from, end);
  }

  async #folded(from: LogPosition, end: LogPosition): Promise<string> {
    const { region, waiters } = this.#options;
    if (end.logId === from.logId && end.position < from.position)
      return `the log of ${region} ends at ${end.position}, and had ${from.position}`;
    const { logId } = this.#here();
    const isStrange = logId !== "" && logId !== end.logId;
    const check = isStrange
      ? ({ kind: "replaced", region } as const)
      : await waiters.wait(new Map([[region, end]]), LIMITS.appendTimeoutMs);
    if (check === "overloaded") return "too many wait for the logs";
    if (check.kind === "satisfied") return "";
    if (check.kind === "replaced") return `the log of ${region} is another one than the one folded`;
    return `the log of ${region} is folded up to ${this.#here().position} of ${end.position}`;
  }

  #here(): LogPosition {
    return this.#options.applied().get(this.#options.region) ?? NOWHERE;
  }
}

async function inTime(answer: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(
      () => resolve("nobody says in time what the region's log holds"),
      LIMITS.appendTimeoutMs,
    );
  });
  const first = await Promise.race([answer, late]);
  clearTimeout(timer);
  return first;
}

/** Asks the region's server. A log that may have lost its end, and of which no peer has said yet that it has not, tells nothing. */
export function logEndAt(store: LogStore, region: Region): LogEnd {
  let proven: OriginLog | undefined;
  return async () => {
    const opened = await (proven === undefined
      ? store.openLog(region, { create: false })
      : { ok: true as const, log: proven });
    proven = undefined;
    if (!opened.ok) return cannotBeAsked(region, opened.detail);
    const { log } = opened;
    const known = await log.proof();
    if (!known.ok) return cannotBeAsked(region, known.detail);
    if (known.proof !== "proven") return `nobody has said yet what the log of ${region} may have lost`;
    const answer = await log.extent();
    if (!answer.ok) return cannotBeAsked(region, answer.detail);
    const { logId, head } = answer.extent;
    if (logId !== log.logId) return `the log of ${region} was begun again`;
    proven = log;
    return { logId, position: head };
  };
}

function cannotBeAsked(region: Region, detail: string): string {
  return `the log of ${region} cannot be asked: ${detail}`;
}
