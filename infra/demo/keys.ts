/** Keys on a terminal: cut and heal links, kill and start processes of us, quit. Rule: the terminal is left as it was found. */
import type { ReadStream } from "node:tty";
import type { Role } from "./runtime.ts";
import { LINKS } from "./topology.ts";
import type { World } from "./world.ts";

const ROLE_KEYS: Readonly<Record<string, Role>> = { k: "node", n: "nats", r: "replicator" };
const CTRL_C = "\u0003";

export interface KeyHandlers {
  say(line: string): void;
  quit(): void;
}

/** Listens until the returned function is called. */
export function listenToKeys(input: ReadStream, world: World, handlers: KeyHandlers): () => void {
  const onData = (data: Buffer): void => {
    for (const key of data.toString()) {
      if (key === "q" || key === CTRL_C) handlers.quit();
      else
        press(key, world).then(
          (line) => line !== undefined && handlers.say(line),
          (error: unknown) => handlers.say(String(error)),
        );
    }
  };
  input.setRawMode(true);
  input.on("data", onData);
  input.resume();
  return () => {
    input.off("data", onData);
    input.setRawMode(false);
    input.pause();
  };
}

/** What was done, for the screen; `undefined` when the key means nothing. */
async function press(key: string, world: World): Promise<string | undefined> {
  const named = LINKS[Number(key) - 1];
  if (named !== undefined) {
    const link = world.link(named.name);
    link.setCut(link.status().cut === false);
    return `${named.name} is ${link.status().cut === false ? "healed" : "cut"}`;
  }
  const role = ROLE_KEYS[key];
  if (role === undefined) return undefined;
  const us = world.region("us");
  const action = us.processes()[role]?.state === "down" ? "start" : "kill";
  const result = await us.act(role, action);
  return result.ok ? `us ${role}: ${action === "kill" ? "killed" : "started"}` : result.reason;
}
