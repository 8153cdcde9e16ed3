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
  table.prefetch(usersOf(commands), READS);
}

function usersOf(commands: readonly Command[]): UserId[] {
  const users: UserId[] = [];
  for (const command of commands) {
    if ("user" in command) users.push(command.user);
    else if ("command" in command) users.push(command.command.user);
  }
  return users;
}
