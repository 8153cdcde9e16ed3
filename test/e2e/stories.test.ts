/** The stories of the demo, from start to end: each comes to its end, all it claims holds, it reads as text, and it leaves nothing behind. */
import { afterEach, expect, test } from "vitest";
import { Demo, isAlive, pidsOf, processesOf } from "./demo-process.ts";

const demos: Demo[] = [];
/** As for the smoke: a story ends itself long before. */
const STORY_TIMEOUT_MS = 240_000;

afterEach(async () => {
  await Promise.all(demos.splice(0).map((demo) => demo.dispose()));
});

async function tell(...args: string[]): Promise<{ code: unknown; text: string; pids: readonly number[] }> {
  const demo = new Demo(["--story", ...args]);
  demos.push(demo);
  const { control } = await demo.addresses();
  const pids = pidsOf(await processesOf(control));
  const code = await demo.ended;
  return { code, text: demo.stdout, pids };
}

/** What each story has to show, line by line. */
const ESSENTIALS: Readonly<Record<string, readonly RegExp[]>> = {
  friend: [
    /^ {2}✓ bob does not see the request/m,
    /^ {4}consistency: \{mode: token, satisfied: true, waitedMs: [1-9]\d*, servedBy: \w+\}$/m,
    /^ {4}consistency: \{mode: latest, satisfied: true, waitedMs: [1-9]\d{3}, servedBy: \w+\}$/m,
    /^ {4}consistency: \{mode: token, satisfied: true, waitedMs: \d+, servedBy: eu\}$/m,
    /^ {4}consistency: \{mode: token, satisfied: false, .*missing: \{cn: [1-9]\d*\}\}$/m,
    /^ {4}consistency: \{mode: latest, satisfied: false, .*unheard: \[cn\]\}$/m,
    /^ {2}✓ bob sees all 4 requests$/m,
  ],
  kick: [
    /^ {2}410 .*reason: kicked, by: \$LAPTOP$/m,
    /^ {2}410 .*reason: replaced, by: \$AGAIN$/m,
    /^ {2}410 .*reason: kicked, by: \$(?:DESKTOP|TABLET)$/m,
    /^ {2}✓ both logins work while the home is cut off/m,
    /^ {2}✓ all regions name one session, \$(?:DESKTOP|TABLET), and claim to be up to date$/m,
  ],
  evacuate: [
    /^ {2}✓ nothing speaks against it, and nothing was decided$/m,
    /^ {2}409 after \d+ ms:\n {4}reasons:\n {6}- \{reason: heir-behind, .*canForce: true\}$/m,
    /^ {2}\d+\.\d s: cn: evacuating, users left: [1-9]\d*$/m,
    /^ {2}✓ no user has their home in cn any more$/m,
    /^ {2}✓ all 120 are online, and have their home in cn again$/m,
    /^ {2}✓ \d{4,} reads of users who were online: 0 said offline$/m,
    /^ {2}✓ all regions say the same .* 0 acknowledged logins are missing$/m,
  ],
};

test.each(Object.keys(ESSENTIALS))(
  "the story %s comes to its end with real processes, and none is left",
  { timeout: STORY_TIMEOUT_MS },
  async (name) => {
    const { code, text, pids } = await tell(name);
    expect(text).not.toMatch(/DOES NOT HOLD|COULD NOT GO ON/);
    for (const essential of ESSENTIALS[name] ?? []) expect(text).toMatch(essential);
    expect(text).toMatch(/^ {2}(\d+) of \1 claims \(✓\) held/m);
    expect(text).not.toContain("\u001B");
    expect(code).toBe(0);
    expect(pids).toHaveLength(9);
    expect(pids.filter(isAlive)).toEqual([]);
  },
);

test("a story is told embedded too", { timeout: STORY_TIMEOUT_MS }, async () => {
  const { code, text } = await tell("friend", "--embedded");
  for (const essential of ESSENTIALS["friend"] ?? []) expect(text).toMatch(essential);
  expect(code).toBe(0);
});

test("a story that is ended before its end has not been told", { timeout: STORY_TIMEOUT_MS }, async () => {
  const demo = new Demo(["--story", "friend", "--embedded"]);
  demos.push(demo);
  await demo.addresses();
  demo.child.kill("SIGINT");
  expect(await demo.ended).toBe(130);
  expect(demo.stdout).not.toContain("In short");
});

test("a story that there is not, or beside the smoke, ends with 2 before anything is started", async () => {
  for (const args of [
    ["--story", "bedtime"],
    ["--story", "kick", "--smoke"],
  ]) {
    const demo = new Demo(args);
    demos.push(demo);
    expect(await demo.ended).toBe(2);
    expect(demo.stdout).toBe("");
    expect(demo.stderr).toMatch(/error: /);
  }
});
