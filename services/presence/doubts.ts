/**
 * Which snapshots say what this node's replica says, and whether the digests bear that out. Rule: a replica that was found wrong is not
 * made anew from what shares its fault: a record that changed by itself and was written since is sound to every look but that of another
 * node's digest, and so it is in a snapshot that was taken meanwhile.
 */
import type { Region } from "../../replicator/core/commands.ts";
import type { Replica } from "../../replicator/core/replica.ts";

export class Doubts {
  /** By log: the snapshots that share what the replica says of it, and how far that went; until another node says the same. */
  readonly #shared = new Map<Region, Map<string, number>>();
  /** Those of them that share what was found wrong; until another node says the same after all: the one that said otherwise is wrong. */
  readonly #contradicted = new Map<Region, Map<string, number>>();
  /** What was found wrong with replicas before this one. */
  readonly #before = new Set<string>();

  /** The snapshot is being taken of that replica. */
  taken(name: string, replica: Replica): void {
    for (const { region, version } of replica.folds) mapOf(this.#shared, region).set(name, version);
  }

  /** That replica takes the place of the one there was; it was made from the snapshots, or from the logs alone. */
  adopted(made: readonly string[], replica: Replica): void {
    for (const names of this.#contradicted.values()) for (const one of names.keys()) this.#before.add(one);
    this.#contradicted.clear();
    this.#shared.clear();
    for (const name of made) {
      // Where it is as wrong as the one before, that is found again.
      this.#before.delete(name);
      this.taken(name, replica);
    }
  }

  /** Another node says of the log what the replica says, at that version. */
  confirmed(region: Region, version: number): void {
    for (const names of [mapOf(this.#shared, region), mapOf(this.#contradicted, region)])
      for (const [name, at] of names) if (at <= version) names.delete(name);
  }

  /** What the replica says of the log was found wrong. */
  contradicted(region: Region): void {
    const names = mapOf(this.#shared, region);
    for (const [name, at] of names) mapOf(this.#contradicted, region).set(name, at);
    names.clear();
  }

  has(name: string): boolean {
    return this.#before.has(name) || [...this.#contradicted.values()].some((names) => names.has(name));
  }

  /** Forgets all but these. */
  keep(kept: ReadonlySet<string>): void {
    for (const names of [this.#before, ...this.#shared.values(), ...this.#contradicted.values()])
      for (const name of names.keys()) if (!kept.has(name)) names.delete(name);
  }
}

function mapOf(maps: Map<Region, Map<string, number>>, region: Region): Map<string, number> {
  const map = maps.get(region) ?? new Map<string, number>();
  maps.set(region, map);
  return map;
}
