/** What must hold by construction ends the process where it does not. */
import { expect, it } from "vitest";
import { InvariantError, assert, defined } from "../../replicator/core/assert.ts";

it("a broken invariant throws, and says which it is", () => {
  expect(() => assert(true, "one is one")).not.toThrow();
  expect(() => assert(false, "one is two")).toThrow(new InvariantError("one is two"));
});

it("what is there is given back, falsy or not; what is not there throws", () => {
  expect([defined(0, "a"), defined("", "b"), defined(null, "c")]).toEqual([0, "", null]);
  expect(() => defined(undefined, "a number")).toThrow(InvariantError);
});
