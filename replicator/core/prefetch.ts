/** What applying commands is about to read, fetched many users at a time. Rule: it changes nothing but what the CPU's caches hold. */
import type { Command, UserId } from "./commands.ts";
import type { UserRecord } from "./record.ts";
import type { Table } from "./table.ts";

/** What applying a command reads of the user's record, each step through what the one before has read. */
const READS: readonly ((record: UserRecord) => number)[] = [
  (record) => record.version,
  (record) => record.seat?.lastSeenMs ?? 0,
  (record) => record.user.length + record.sessions.length,
  (record) => record.sessions[0]?.sinceMs ?? 0,
  (record) => record.sessions[0]?.session.length ?? 0,
  (record) => record.sessions[0]?.device.length ?? 0,
];

export function prefetchFor(commands: readonly Command[], table: Table<UserRecord>): void {
  const users: UserId[] = [];
  for (const command of commands) {
    const user = userOf(command);
    if (user !== undefined) users.push(user);
  }
  table.prefetch(users, READS);
}

function userOf(command: Command): UserId | undefined {
  if ("user" in command) return command.user;
  return "command" in command ? userOf(command.command) : undefined;
}
