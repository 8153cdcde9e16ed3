/** Of whom commands speak. */
import type { Command, Frame, UserId } from "../../replicator/core/commands.ts";

/** Everybody of whom the frames speak. */
export function usersOf(frames: readonly Frame[]): Set<UserId> {
  const users = new Set<UserId>();
  for (const command of frames.flatMap(({ commands }) => commands)) {
    const user = userIn(command);
    if (user !== undefined) users.add(user);
  }
  return users;
}

export function userIn(command: Command): UserId | undefined {
  if ("user" in command) return command.user;
  return "command" in command ? userIn(command.command) : undefined;
}
