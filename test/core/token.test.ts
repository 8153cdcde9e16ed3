/** Consistency tokens: what satisfies one, how they merge, and the text that clients carry. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Token } from "../../replicator/core/token.ts";
import {
  TOKEN_TEXT_MAX,
  checkToken,
  formatToken,
  mergeTokens,
  parseToken,
} from "../../replicator/core/token.ts";
import { holds } from "./property.ts";

const region = fc.stringMatching(/^[a-z][a-z0-9-]{0,15}$/);
const logId = fc.stringMatching(/^[A-Za-z0-9_-]{1,32}$/);
const position = fc.oneof(fc.nat(1_000), fc.maxSafeNat());
const arbitraryToken: fc.Arbitrary<Token> = fc
  .uniqueArray(
    fc.tuple(region, fc.record({ logId, position: position.map((value) => Math.max(1, value)) })),
    {
      selector: ([name]) => name,
      maxLength: 16,
    },
  )
  .map((entries) => new Map(entries));

function at(entries: Record<string, [string, number]>): Token {
  return new Map(
    Object.entries(entries).map(([name, [id, value]]) => [name, { logId: id, position: value }]),
  );
}

describe("the text", () => {
  it("every token parses back to itself", () => {
    holds(
      fc.property(arbitraryToken, (token) => {
        expect(parseToken(formatToken(token))).toEqual(token);
      }),
      1_000,
    );
  });

  it("equal tokens are equal texts, in whatever order they were put together", () => {
    holds(
      fc.property(arbitraryToken, (token) => {
        expect(formatToken(new Map([...token].toReversed()))).toBe(formatToken(token));
      }),
      300,
    );
  });

  it("the longest token of 16 regions is within the bound", () => {
    const regions = Array.from({ length: 16 }, (_, n) => `${"r".repeat(14)}${String.fromCharCode(97 + n)}a`);
    const token = new Map(
      regions.map((name) => [name, { logId: "x".repeat(32), position: Number.MAX_SAFE_INTEGER }]),
    );
    expect(formatToken(token).length).toBeLessThanOrEqual(TOKEN_TEXT_MAX);
    expect(parseToken(formatToken(token))?.size).toBe(16);
  });

  it("what a replica has applied is a token, also before it has heard of a peer", () => {
    const applied = at({ cn: ["a", 3], us: ["", 0] });
    expect(parseToken(formatToken(applied))).toEqual(at({ cn: ["a", 3] }));
  });

  it.each([
    "",
    "1",
    "2.cn:a:1",
    "1.cn:a:1,",
    "1.,cn:a:1",
    "1.cn:a",
    "1.cn::1",
    "1.:a:1",
    "1.cn:a:-1",
    "1.cn:a:01",
    "1.cn:a:1.5",
    "1.cn:a:1e3",
    "1.cn:a:9007199254740992",
    "1.cn:a:99999999999999999999",
    "1.cn:a:1,cn:b:2",
    "1.CN:a:1",
    "1.cn:a b:1",
    "1.cn:a:1\n",
    " 1.cn:a:1",
    "1.cn:a:１",
    "1.__proto__:a:1",
    "1.cn:a:NaN",
    `1.${"c".repeat(17)}:a:1`,
    `1.cn:${"a".repeat(33)}:1`,
    `1.${"cn:a:1,".repeat(100_000)}`,
  ])("hostile text %j is no token", (text) => {
    expect(parseToken(text)).toBeUndefined();
  });

  it("no text makes parsing throw, and what parses formats back to a token that parses alike", () => {
    const near = fc.stringMatching(/^1\.[a-z0-9:,_-]{0,40}$/);
    holds(
      fc.property(fc.oneof(fc.string(), near), (text) => {
        const token = parseToken(text);
        if (token === undefined) return;
        const asking = new Map([...token].filter(([, one]) => one.position > 0));
        expect(parseToken(formatToken(token))).toEqual(asking);
      }),
      1_000,
    );
  });
});

describe("the check", () => {
  const applied = at({ cn: ["a", 10], us: ["b", 5], eu: ["", 0] });

  it.each<[string, Token, ReturnType<typeof checkToken>]>([
    ["nothing asked is satisfied", at({}), { kind: "satisfied" }],
    ["exactly what is applied is satisfied", at({ cn: ["a", 10], us: ["b", 5] }), { kind: "satisfied" }],
    [
      "one position more is missing",
      at({ cn: ["a", 11] }),
      { kind: "missing", missing: new Map([["cn", 1]]) },
    ],
    [
      "a log not heard of misses everything",
      at({ eu: ["c", 4] }),
      { kind: "missing", missing: new Map([["eu", 4]]) },
    ],
    [
      "a region not known misses everything",
      at({ jp: ["c", 4] }),
      { kind: "missing", missing: new Map([["jp", 4]]) },
    ],
    [
      "another identity is replaced, however low the position",
      at({ cn: ["z", 1] }),
      { kind: "replaced", region: "cn" },
    ],
    [
      "position 0 asks for nothing, of any identity",
      at({ cn: ["z", 0], jp: ["q", 0] }),
      { kind: "satisfied" },
    ],
  ])("%s", (_rule, token, expected) => {
    expect(checkToken(token, applied)).toEqual(expected);
  });

  it("a token is satisfied exactly by vectors that have at least as much of every log", () => {
    const vector = fc
      .record({ cn: fc.nat(3), us: fc.nat(3) })
      .map(({ cn, us }) => at({ cn: ["a", cn], us: ["b", us] }));
    holds(
      fc.property(vector, vector, (wanted, have) => {
        const enough = [...wanted].every(([name, one]) => one.position <= (have.get(name)?.position ?? 0));
        expect(checkToken(wanted, have).kind === "satisfied").toBe(enough);
      }),
      300,
    );
  });
});

describe("merging", () => {
  it("what satisfies the merged token satisfies both, and no less does", () => {
    const vector = fc
      .record({ cn: fc.nat(3), us: fc.nat(3) })
      .map(({ cn, us }) => at({ cn: ["a", cn], us: ["b", us] }));
    holds(
      fc.property(vector, vector, vector, (a, b, have) => {
        const both = [a, b].every((token) => checkToken(token, have).kind === "satisfied");
        expect(checkToken(mergeTokens(a, b), have).kind === "satisfied").toBe(both);
      }),
      500,
    );
  });

  it("of two identities of one log the newer statement stands", () => {
    expect(mergeTokens(at({ cn: ["old", 900] }), at({ cn: ["new", 2] }))).toEqual(at({ cn: ["new", 2] }));
  });

  it("leaves its arguments alone", () => {
    const a = at({ cn: ["a", 1] });
    mergeTokens(a, at({ cn: ["a", 2], us: ["b", 1] }));
    expect(a).toEqual(at({ cn: ["a", 1] }));
  });
});
