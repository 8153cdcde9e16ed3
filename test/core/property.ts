/**
 * Runs a property with one seed per run of the tests, chosen afresh unless `SEED` names it.
 * Rule: a failure prints its seed and the command that repeats it, besides the shrunk counterexample.
 */
import * as fc from "fast-check";
import { expect } from "vitest";

const given = process.env["SEED"];

export function holds<T>(property: fc.IProperty<T>, numRuns: number): void {
  const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
  const { currentTestName, testPath } = expect.getState();
  const details = fc.check(property, { seed, numRuns });
  const file = testPath?.slice(testPath.indexOf("/test/") + 1) ?? "";
  const title = currentTestName?.split(" > ").at(-1) ?? "";
  const rerun = `to repeat: SEED=${seed} npx vitest run ${file} -t ${JSON.stringify(title)}`;
  const error = details.errorInstance instanceof Error ? details.errorInstance.stack : details.errorInstance;
  const report = details.failed ? `${fc.defaultReportMessage(details) ?? ""}\n${String(error)}\n${rerun}` : "";
  expect(report, rerun).toBe("");
}
