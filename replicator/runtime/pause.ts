/** Waits, by the global timer: what the simulation replaces, unlike `node:timers/promises`. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
