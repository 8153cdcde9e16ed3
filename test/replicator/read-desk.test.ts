/** Asks and answers of reads over real NATS of two regions, also after the peer's server was gone. */
import { afterEach, expect, it } from "vitest";
import type { LogStore } from "../../replicator/log/port.ts";
import { connectLogStore } from "../../replicator/log/nats.ts";
import { openReadDesk } from "../../replicator/read-desk.ts";
import { encodeRelayed, readAnsweredTopic, readAskedTopic } from "../../replicator/runtime/relay.ts";
import { startNatsServer } from "../support/nats-server.ts";

const closing: (() => Promise<void>)[] = [];
const LARGEST = "x".repeat(255 * 1_024);

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

function connected(servers: string): LogStore {
  const store = connectLogStore({ servers, name: "read-desk-test" });
  closing.push(() => store.close());
  return store;
}

it("are carried both ways, and again when the server is back", { timeout: 60_000 }, async () => {
  const [us, cn] = await Promise.all([startNatsServer(), startNatsServer()]);
  closing.push(
    () => us.stop(),
    () => cn.stop(),
  );
  const desk = openReadDesk({
    region: "us",
    local: connected(us.url),
    peers: new Map([["cn", connected(cn.url)]]),
  });
  closing.push(() => Promise.resolve(desk.close()));
  const [asker, answerer] = [connected(us.url), connected(cn.url)];
  const answered: string[] = [];
  asker.listen(readAnsweredTopic("us"), (payload) => answered.push(Buffer.from(payload).toString()));
  answerer.listen(readAskedTopic("cn"), (payload) => {
    const [ask = ""] = Buffer.from(payload).toString().split(" ");
    const answer = encodeRelayed({ ask, waitMs: 0 }, LARGEST);
    if (answer !== undefined) answerer.announce(readAnsweredTopic("us"), answer);
  });
  /** Asks until one is answered: what is said while a connection is not there is lost. */
  const isAnswered = async (name: string): Promise<void> => {
    for (let n = 0; !answered.some((text) => text.startsWith(name)); n++) {
      const ask = encodeRelayed({ ask: `${name}${n}`, waitMs: 200 }, "how is ann?");
      if (ask !== undefined) asker.announce(readAskedTopic("cn"), ask);
      await new Promise((resolve) => {
        setTimeout(resolve, 50);
      });
    }
  };
  await isAnswered("a");
  await cn.restart();
  await isAnswered("b");
  expect(answered.every((text) => text.endsWith(`\n"${LARGEST}"`))).toBe(true);
  expect(desk.carried).toMatchObject({ full: 0, malformed: 0 });
});
