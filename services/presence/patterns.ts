/**
 * What the patterns of the API's schemas ask for, in words. Rule: a caller is told what to send, never a regular expression; a pattern
 * without words here is refused in general ones.
 */

const ID = /^\^(?:\(\?![^)]*\))?\[A-Za-z0-9\._:@-\]\{1,([0-9]+)\}\$$/;
const REGION = /^\^\[a-z\]\[a-z0-9-\]\{0,([0-9]+)\}\$$/;
const PROBLEM = "^[a-z-]{1,40}$";
const NOT_BLANK = String.raw`\S`;

export function patternInWords(pattern: string): string {
  const idMax = ID.exec(pattern)?.[1];
  if (idMax !== undefined) return `must be 1 to ${idMax} characters of A-Z a-z 0-9 . _ : @ -`;
  const more = REGION.exec(pattern)?.[1];
  if (more !== undefined)
    return `must be a region's name: 1 to ${1 + Number(more)} characters of a-z 0-9 -, the first a letter`;
  if (pattern === PROBLEM) return "must be 1 to 40 characters of a-z -";
  return pattern === NOT_BLANK ? "must not be blank" : "must have another form";
}
