/**
 * Runs a property with one seed per run of the tests, chosen afresh unless `SEED` names it or the test has one of its own.
 * Rule: a failure prints its seed and the command that repeats it, besides the shrunk counterexample.
 */
import * as fc from "fast-check";
import { expect } from "vitest";

const given = process.env["SEED"];

export function holds<T>(property: fc.IProperty<T>, numRuns: number, usual?: number): void {
  const seed = given === undefined ? (usual ?? Math.floor(Math.random() * 2 ** 31)) : Number(given);
  const details = fc.check(property, { seed, numRuns });
  if (!details.failed) return;
  const { currentTestName, testPath } = expect.getState();
  const file = testPath?.slice(testPath.indexOf("/test/") + 1) ?? "";
  const title = JSON.stringify(currentTestName?.split(" > ").at(-1) ?? "");
  const cause = details.errorInstance;
  throw new Error(
    [
      fc.defaultReportMessage(details),
      cause instanceof Error ? cause.stack : String(cause),
      `to repeat: SEED=${seed} npx vitest run ${file} -t ${title}`,
    ].join("\n"),
    { cause },
  );
}
