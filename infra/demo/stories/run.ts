/**
 * Tells one of the stories in the running demo, with the demo's traffic beside it.
 * Rule: it cannot hang, and it held only if it came to its end and every claim did.
 */
import type { WriteStream } from "node:tty";
import { HttpClient } from "../http.ts";
import type { DemoOptions, StoryName } from "../options.ts";
import { setting } from "../intro.ts";
import { Traffic } from "../traffic.ts";
import type { World } from "../world.ts";
import { evacuate } from "./evacuate.ts";
import { friend } from "./friend.ts";
import { kick } from "./kick.ts";
import { Story } from "./story.ts";
import { wrapped } from "./telling.ts";

const TITLES: Readonly<Record<StoryName, string>> = {
  friend: "a friend request across a slow line",
  kick: "one session at a time, everywhere",
  evacuate: "a region is evacuated, and comes back",
};
const DEADLINE_MS = 180_000;
const HTTP = { timeoutMs: 10_000, socketsMax: 16 };

/** Each tells its scenes and resolves with what they come to, a sentence each. */
const STORIES: Readonly<Record<StoryName, (story: Story) => Promise<string[]>>> = { friend, kick, evacuate };

/** What is written before anything is started. */
export function opening(name: StoryName, embedded: boolean): string {
  const text = `Rollcall tells a story: ${TITLES[name]}`;
  return `${[text, "", ...wrapped(`${setting(embedded)} They are being started.`, 0)].join("\n")}\n`;
}

/** Resolves with whether all that was claimed held. */
export async function tell(
  name: StoryName,
  world: World,
  controlUrl: string,
  out: WriteStream,
  { traffic: eventsPerSecond }: DemoOptions,
  ended: AbortSignal,
): Promise<boolean> {
  const http = new HttpClient(HTTP);
  const traffic = new Traffic(world.apis, eventsPerSecond);
  const story = new Story({
    apis: world.apis,
    traffic,
    controlUrl,
    http,
    write: (text) => out.write(text),
    colours: out.isTTY && out.hasColors(),
    signal: AbortSignal.any([ended, AbortSignal.timeout(DEADLINE_MS)]),
  });
  traffic.start();
  let summary: string[] = [];
  try {
    summary = await STORIES[name](story);
  } catch (error) {
    if (!ended.aborted) story.fail(error instanceof Error ? error.message : String(error));
  }
  await traffic.stop();
  http.close();
  return !ended.aborted && story.end(summary);
}
