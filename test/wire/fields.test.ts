/** The tables of the format against core and against the patterns that the rest of the system states. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  END_REASONS,
  LINK_STATES,
  PREFERRED_STATUSES,
  SESSION_STATUSES,
} from "../../replicator/core/commands.ts";
import {
  END_REASON_CODES,
  LINK_STATE_CODES,
  PREFERRED_CODES,
  STATUS_CODES,
} from "../../replicator/wire/codes.ts";
import {
  isId,
  isText,
  LOG_ID,
  PEER_LOG_ID,
  REGION,
  SESSION,
  SETTING_KEY,
  STATE,
  USER,
} from "../../replicator/wire/fields.ts";
import { testSeed } from "./seed.ts";

/** Characters of the alphabets and their neighbours. */
const NEAR_CHARS = "aZ09._:@-z /\n\u0000é[`{".split("");

const seed = testSeed("fields.test.ts");

describe("codes", () => {
  it.each([
    [STATUS_CODES.name, STATUS_CODES, SESSION_STATUSES],
    [PREFERRED_CODES.name, PREFERRED_CODES, PREFERRED_STATUSES],
    [END_REASON_CODES.name, END_REASON_CODES, END_REASONS],
    [LINK_STATE_CODES.name, LINK_STATE_CODES, LINK_STATES],
  ])("%s: every value of core has a code, and only those", (_name, { values }, known) => {
    expect([...values].toSorted()).toEqual([...known].toSorted());
  });
});

describe("ids", () => {
  it.each([
    [USER.name, USER, /^[A-Za-z0-9._:@-]{1,64}$/],
    [SESSION.name, SESSION, /^[A-Za-z0-9_-]{1,32}$/],
    [LOG_ID.name, LOG_ID, /^[A-Za-z0-9_-]{1,32}$/],
    [PEER_LOG_ID.name, PEER_LOG_ID, /^[A-Za-z0-9_-]{0,32}$/],
    [SETTING_KEY.name, SETTING_KEY, /^[a-z0-9:._-]{1,64}$/],
    [REGION.name, REGION, /^[a-z][a-z0-9-]{0,15}$/],
  ])("%s is judged as its pattern judges it", (_name, field, pattern) => {
    const near = fc.string({ unit: fc.constantFrom(...NEAR_CHARS), maxLength: 70 });
    fc.assert(
      fc.property(fc.oneof(near, fc.string({ unit: "binary" }), fc.stringMatching(pattern)), (value) => {
        expect(isId(field, value)).toBe(pattern.test(value));
      }),
      { seed, numRuns: 500 },
    );
  });
});

describe("texts", () => {
  it("are measured in UTF-8", () => {
    expect(isText(STATE, "é".repeat(128))).toBe(true);
    expect(isText(STATE, "é".repeat(129))).toBe(false);
  });

  it("are well-formed", () => {
    expect(isText(STATE, "🚀")).toBe(true);
    expect(isText(STATE, "\ud83d")).toBe(false);
    expect(isText(STATE, "\ude80\ud83d")).toBe(false);
  });
});
