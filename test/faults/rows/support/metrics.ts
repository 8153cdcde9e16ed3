/** Reads one figure out of a Prometheus exposition. */

/** The sum of a metric over all samples whose labels contain `labels`; 0 when there is none. */
export function metric(exposition: string, name: string, labels = ""): number {
  let sum = 0;
  for (const line of exposition.split("\n")) {
    const [, of, given = "", value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (of === name && given.includes(labels)) sum += Number(value);
  }
  return sum;
}
