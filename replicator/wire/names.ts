/**
 * Names that recur: each is spelled where it first occurs, as the number of names before it and the name, and is that one-byte number
 * from then on. Rule: the writing side and the reading side here number alike, and a name is spelled once.
 */
import type { ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { IdField } from "./fields.ts";

/** The names written so far. */
export class NameTable {
  readonly #field: IdField;
  readonly #namesMax: number;
  readonly #names: string[] = [];
  /** Names of what is written for good; those after them belong to what is being added. */
  #kept = 0;

  constructor(field: IdField, namesMax: number) {
    this.#field = field;
    this.#namesMax = namesMax;
  }

  get overfull(): boolean {
    return this.#names.length > this.#namesMax;
  }

  clear(): void {
    this.#names.length = 0;
    this.#kept = 0;
  }

  /** Makes a name known that is spelled elsewhere. */
  seed(name: string): void {
    this.#names.push(name);
    this.keep();
  }

  write(writer: ByteWriter, name: string): void {
    const known = this.#names.indexOf(name);
    if (known !== -1) {
      writer.byte(known);
      return;
    }
    writer.byte(this.#names.length);
    writer.id(this.#field, name);
    this.#names.push(name);
  }

  keep(): void {
    this.#kept = this.#names.length;
  }

  undo(): void {
    this.#names.length = this.#kept;
  }
}

/** The names read so far. */
export class NameList {
  readonly #field: IdField;
  readonly #namesMax: number;
  readonly #names: string[] = [];

  constructor(field: IdField, namesMax: number) {
    this.#field = field;
    this.#namesMax = namesMax;
  }

  seed(name: string): void {
    this.#names.push(name);
  }

  read(reader: ByteReader): string {
    const index = reader.byte(this.#field.name);
    const known = this.#names[index];
    if (known !== undefined) return known;
    if (index > this.#names.length) reader.fail(this.#field.name, "number of no name");
    else if (index >= this.#namesMax) reader.fail(this.#field.name, "too many names");
    const name = reader.id(this.#field);
    if (this.#names.includes(name)) reader.fail(this.#field.name, "spelled twice");
    this.#names.push(name);
    return name;
  }
}
