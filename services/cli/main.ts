#!/usr/bin/env node
/** The `rollcall` command. Rule: results on standard output, what went wrong on standard error, exit codes usable as a check. */
import { Command } from "commander";

import { UnknownAddress, addressOf, addressesIn, parseAddresses } from "./addresses.ts";
import { apiAt } from "./api.ts";
import { VERDICTS, checkFriends, inWords, verdictOf } from "./check-friends.ts";
import type { Place } from "./check-friends.ts";
import { readCliEnv } from "./env.ts";

const USAGE = 2;

interface CheckOptions {
  readonly from: string;
  readonly to: string;
  readonly addresses?: string;
  readonly json: boolean;
}

const program = new Command("rollcall")
  .description("Ask a Rollcall deployment how it is.")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : USAGE));
program
  .command("check")
  .description("Checks; each exits 0 when all is well.")
  .command("friends")
  .description(
    "Makes a friend request in one region, looks for it in another, takes it back, and says what it saw.",
  )
  .requiredOption("--from <region>", "where the request is made")
  .requiredOption("--to <region>", "where it is looked for")
  .option("--addresses <file>", "JSON as the demo writes it; else ROLLCALL_REGIONS=cn=http://…,us=http://…")
  .option("--json", "one line of JSON instead of words", false)
  .addHelpText(
    "after",
    `
ROLLCALL_KEY is a key of the role service, where the nodes have keys.
Exit codes: 0 seen, 1 the region lacks something and says so, 2 usage, 3 it claims to have it and does not, 4 could not be checked.`,
  )
  .action(check);
await program.parseAsync();

async function check({ from, to, addresses, json }: CheckOptions): Promise<void> {
  try {
    const env = readCliEnv();
    const known = addresses === undefined ? parseAddresses(env.regions) : addressesIn(addresses);
    const place = (region: string): Place => ({
      region,
      api: apiAt(region, addressOf(known, region), env.key),
    });
    const checked = await checkFriends(place(from), place(to));
    const verdict = verdictOf(checked);
    const lines = json ? [JSON.stringify({ verdict, ...checked })] : inWords(checked);
    process.stdout.write(`${lines.join("\n")}\n`);
    process.exitCode = VERDICTS[verdict];
  } catch (error) {
    process.stderr.write(`rollcall: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = error instanceof UnknownAddress ? USAGE : VERDICTS.unchecked;
  }
}
