/** The moment of sending, as the JSON text that a change carries for state and a bare message for payload. */

export function stampText(sentMs: number): string {
  return `{"sentMs":${sentMs.toFixed(3)}}`;
}

/** Throws on a text that is no stamp. */
export function stampOf(text: string): number {
  const { sentMs }: { sentMs?: number } = JSON.parse(text);
  if (typeof sentMs !== "number") throw new Error(`no stamp: ${text}`);
  return sentMs;
}
