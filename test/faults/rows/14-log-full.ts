/**
 * Row 14: a log reaches its limit, JetStream's `max_file_store`, at five sizes side by side. Rule: what does not fit is refused and nothing is
 * evicted, so the logins acknowledged are exactly the logins stored.
 */
import { decodeFrame } from "../../../replicator/wire/codec.ts";
import { logStream } from "../../../replicator/wire/subjects.ts";
import { readStream } from "../logs.ts";
import { atLeast, exactly, type Figure, type Row, type RowContext } from "../row.ts";
import type { Stage } from "../stage.ts";

const SIZES_KB = { quick: [64, 128, 256, 512, 1_024], full: [256, 1_024, 4_096, 16_384, 32_768] };
const CLIENTS = 64;
/** In a row, over all clients: the log is full. */
const REFUSALS = CLIENTS;
/** Makes a login some 350 bytes. */
const STATE = { note: "x".repeat(240) };

interface Filled {
  readonly acknowledged: ReadonlySet<string>;
  readonly refused: number;
  /** The last refusal. */
  readonly reason: string;
}

export const row: Row = { row: 14, fault: "stream limit reached", quick: true, run };

async function run({ quick, say, stage: begin }: RowContext): Promise<readonly Figure[]> {
  const figures = SIZES_KB[quick ? "quick" : "full"].map(async (size): Promise<Figure[]> => {
    const natsConfig = (): string => `jetstream { max_file_store: ${size * 1_024} }\n`;
    const stage = await begin({ regions: ["cn"], natsConfig });
    const { acknowledged, refused, reason } = await fill(stage);
    const { logins, evicted } = await storedIn(stage);
    const unstored = [...acknowledged].filter((session) => !logins.has(session)).length;
    say(
      `${size} KiB: ${acknowledged.size} acknowledged, ${logins.size} stored, ${refused} refused: ${reason}`,
    );
    return [
      atLeast(`${size} KiB: logins acknowledged`, acknowledged.size, 1),
      atLeast(`${size} KiB: logins refused`, refused, REFUSALS),
      exactly(`${size} KiB: acknowledged and not stored`, unstored, 0),
      exactly(`${size} KiB: stored and not acknowledged`, logins.size - (acknowledged.size - unstored), 0),
      exactly(`${size} KiB: frames evicted`, evicted, 0),
    ];
  });
  return (await Promise.all(figures)).flat();
}

/** Logs people in until nobody can. */
async function fill(stage: Stage): Promise<Filled> {
  const acknowledged = new Set<string>();
  let [named, refused, refusedInARow, reason] = [0, 0, 0, ""];
  const { api } = stage.region("cn");
  const client = async (): Promise<void> => {
    while (refusedInARow < REFUSALS) {
      stage.signal.throwIfAborted();
      const answer = await api.send("POST", "/v1/sessions", { user: `full-${(named += 1)}`, state: STATE });
      const session = answer.ok && answer.status === 201 ? sessionIn(answer.body) : undefined;
      if (session === undefined) {
        refused += 1;
        refusedInARow += 1;
        reason = answer.ok ? `${answer.status} ${JSON.stringify(answer.body)}` : answer.reason;
      } else {
        acknowledged.add(session);
        refusedInARow = 0;
      }
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return { acknowledged, refused, reason };
}

async function storedIn(stage: Stage): Promise<{ logins: ReadonlySet<string>; evicted: number }> {
  const logins = new Set<string>();
  const stored = await readStream(stage.region("cn").nats.url, logStream("cn"));
  for (const { sequence, bytes } of stored) {
    const decoded = decodeFrame(bytes);
    if (!decoded.ok) throw new Error(`frame ${sequence} cannot be read: ${decoded.reason}`);
    for (const command of decoded.frame.commands)
      if (command.kind === "open") logins.add(command.session.session);
  }
  const last = stored.at(-1)?.sequence ?? 0;
  return { logins, evicted: last - stored.length };
}

function sessionIn(body: unknown): string | undefined {
  return typeof body === "object" && body !== null && "session" in body && typeof body.session === "string"
    ? body.session
    : undefined;
}
