/** Reads the Prometheus text format, as far as a node writes it. */

const SAMPLE = /^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([A-Za-z_][A-Za-z0-9_]*)="([^"]*)"/g;

export interface Metrics {
  /** The sample with exactly these labels; 0 where there is none, as for a counter that never moved. */
  value(name: string, labels?: Readonly<Record<string, string>>): number;
  /** The sum over all labels. */
  sum(name: string): number;
}

export function parseMetrics(text: string): Metrics {
  const samples = new Map<string, number>();
  const sums = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
    if (name === undefined) continue;
    const pairs = [...labels.matchAll(LABEL)].map(([, label, of]) => [label ?? "", of ?? ""] as const);
    samples.set(keyOf(name, pairs), Number(value));
    sums.set(name, (sums.get(name) ?? 0) + Number(value));
  }
  return {
    value: (name, labels = {}) => samples.get(keyOf(name, Object.entries(labels))) ?? 0,
    sum: (name) => sums.get(name) ?? 0,
  };
}

function keyOf(name: string, labels: readonly (readonly [string, string])[]): string {
  return [name, ...labels.map((pair) => pair.join("=")).toSorted()].join(" ");
}
