/** The demo's command line. Rule: what cannot be meant ends with exit code 2 and a sentence, before anything is started. */
import { Command, InvalidArgumentError, Option } from "commander";

export const STORY_NAMES = ["friend", "kick", "evacuate"] as const;
export type StoryName = (typeof STORY_NAMES)[number];

export interface DemoOptions {
  readonly smoke: boolean;
  readonly story?: StoryName;
  readonly embedded: boolean;
  readonly addresses?: string;
  /** Events per second overall. */
  readonly traffic: number;
}

/** Whether it ends by itself, with a verdict. */
export function isScripted({ smoke, story }: DemoOptions): boolean {
  return smoke || story !== undefined;
}

const TRAFFIC_DEFAULT = 50;
const TRAFFIC_MAX = 5_000;
const USAGE_EXIT_CODE = 2;

/** Exits for `--help` and for bad input. `args` without node and script. */
export function parseOptions(args: readonly string[]): DemoOptions {
  const command = new Command("npm run demo --")
    .description(
      "Three regions on this machine with simulated WAN links, until Ctrl-C; nothing is left behind.",
    )
    .option(
      "--smoke",
      "run the scripted scenario and exit: 0 if everything held; the last line of stdout is JSON",
      false,
    )
    .addOption(
      new Option("--story <name>", "tell a story in calls and answers, and exit: 0 if all it claims held")
        .choices(STORY_NAMES)
        .conflicts("smoke"),
    )
    .option("--addresses <file>", "write the addresses as JSON to this file once everything is ready")
    .option(
      "--traffic <n>",
      "live traffic in events per second overall, 0 for none",
      parseTraffic,
      TRAFFIC_DEFAULT,
    )
    .option("--embedded", "all in one process on in-memory logs, without nats-server", false)
    .addHelpText(
      "after",
      `
Stories, each in less than a minute:
  friend    a friend request from cn, looked for in us over a slow line, and over none
  kick      one session at a time everywhere: who stays, and when the other one knows
  evacuate  all users of cn get another home, and come back, while everybody stays online`,
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : USAGE_EXIT_CODE));
  return command.parse([...args], { from: "user" }).opts<DemoOptions>();
}

function parseTraffic(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isInteger(value) || value < 0 || value > TRAFFIC_MAX)
    throw new InvalidArgumentError(`It is a whole number from 0 to ${TRAFFIC_MAX}.`);
  return value;
}
