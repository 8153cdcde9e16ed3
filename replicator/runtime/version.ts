/** Version of Rollcall, as operators see it; `test/replicator/version.test.ts` holds it to package.json. */
export const VERSION = "0.1.0";
