/**
 * How a story is written: text within the width of a line, a call as one types it, an answer in brief.
 * Rule: pure; what is written of a call is what is sent, as both are made of one {@link Call}.
 */
import { defined } from "../../../replicator/core/assert.ts";
import type { Method } from "../http.ts";

/** Variables of the shell that hold the addresses. */
export const PLACES = { cn: "CN", us: "US", eu: "EU", control: "CONTROL" } as const;
export type Place = keyof typeof PLACES;

export interface Call {
  readonly method: Method;
  readonly at: Place;
  /** With `$NAME` where the value of that name goes. */
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
}

/** Values by the names they were given. */
export type Names = ReadonlyMap<string, string>;

/** Columns. */
export const WIDTH = 100;
const NAME = /\$([A-Z]+)/g;
/** What needs no quotes to be read as one word. */
const WORD = /^[\w.:@→-]+$/;

/** Lines of at most {@link WIDTH} columns, as far as words allow; all but the first begin `hanging` columns further in. */
export function wrapped(text: string, indent: number, hanging = 0): string[] {
  const lines: string[] = [];
  let line = " ".repeat(indent);
  let isEmpty = true;
  for (const word of text.split(" ")) {
    if (!isEmpty && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = " ".repeat(indent + hanging);
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}

/** The call for a shell in which the names are variables; in two lines where one would be too long. */
export function curl({ method, at, path, body }: Call, indent: number): string[] {
  const url = `$${PLACES[at]}${path}`;
  const verb = method === "GET" ? "" : `-X ${method} `;
  const call = `${" ".repeat(indent)}curl -s ${verb}${/[?&]/.test(url) ? `"${url}"` : url}`;
  if (body === undefined) return [call];
  const typed = `${call} -H 'content-type: application/json'`;
  const data = `-d '${JSON.stringify(body).replaceAll("'", String.raw`'\''`)}'`;
  if (typed.length + 1 + data.length <= WIDTH) return [`${typed} ${data}`];
  return [`${typed} \\`, `${" ".repeat(indent + 2)}${data}`];
}

/** The path with the values in place of their names. Throws where a name has none. */
export function expand(path: string, names: Names): string {
  return path.replaceAll(NAME, (_all, name: string) => {
    return encodeURIComponent(defined(names.get(name), `$${name} was given a value`));
  });
}

/** A value of JSON without the quotes that nobody needs, a value that has a name by its name. */
export function inBrief(value: unknown, names: Names): string {
  if (typeof value === "string") {
    const name = [...names].find(([, named]) => named === value)?.[0];
    if (name !== undefined) return `$${name}`;
    return WORD.test(value) ? value : JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((one) => inBrief(one, names)).join(", ")}]`;
  if (typeof value === "object" && value !== null) return `{${members(value, names).join(", ")}}`;
  return JSON.stringify(value) ?? "";
}

/** The members of an answer behind its heading: in one line where that is wide enough, else a line each; a long list, a line per item. */
export function answer(heading: string, body: unknown, names: Names, indent: number): string[] {
  if (typeof body !== "object" || body === null) return wrapped(heading, indent);
  const line = `${" ".repeat(indent)}${heading}: ${members(body, names).join(", ")}`;
  if (line.length <= WIDTH) return [line];
  const lines = entries(body).flatMap(([key, value]) => memberLines(key, value, names, indent + 2));
  return [`${" ".repeat(indent)}${heading}:`, ...lines];
}

function memberLines(key: string, value: unknown, names: Names, indent: number): string[] {
  const line = `${key}: ${inBrief(value, names)}`;
  if (indent + line.length <= WIDTH || !Array.isArray(value)) return wrapped(line, indent, 2);
  const items = value.flatMap((one) => wrapped(`- ${inBrief(one, names)}`, indent + 2, 2));
  return [`${" ".repeat(indent)}${key}:`, ...items];
}

function members(value: object, names: Names): string[] {
  return entries(value).map(([key, member]) => `${key}: ${inBrief(member, names)}`);
}

function entries(value: object): [string, unknown][] {
  return Object.entries(value).filter(([, member]) => member !== undefined);
}
