/**
 * Randomness of the simulation: one stream per concern, each seeded by the run's seed and the concern's name. Rule: what one concern
 * draws never moves another's stream, so that adding a fault does not reshuffle the rest.
 */
import { hash32 } from "../../replicator/core/homing.ts";

/** sfc32: 128 bits of state, passes PractRand, a few integer operations a number. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, concern: string) {
    this.#a = hash32(`${concern}:a:${seed}`) | 0;
    this.#b = hash32(`${concern}:b:${seed}`) | 0;
    this.#c = hash32(`${concern}:c:${seed}`) | 0;
    for (let warmUp = 0; warmUp < 12; warmUp++) this.unit();
  }

  /** Uniform in [0, 1). */
  unit(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + sum) | 0;
    return (sum >>> 0) / 4_294_967_296;
  }

  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability;
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + (to - from) * this.unit();
  }

  /** Uniform in 0 … count − 1. */
  below(count: number): number {
    return Math.floor(this.unit() * count);
  }

  pick<T>(from: readonly T[]): T {
    const one = from[this.below(from.length)];
    if (one === undefined) throw new Error("nothing to pick from");
    return one;
  }
}
