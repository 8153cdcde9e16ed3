/** The demo with real processes, through its control API: what it can do to its regions, and that it leaves nothing behind. */
import { Type } from "typebox";
import { Value } from "typebox/value";
import { afterEach, expect, test, vi } from "vitest";
import { Demo, call, isAlive, pidsOf, processesOf, waitUntilGone } from "./demo-process.ts";

const demos: Demo[] = [];

afterEach(async () => {
  await Promise.all(demos.splice(0).map((demo) => demo.dispose()));
});

async function start(...args: string[]) {
  const demo = new Demo(args);
  demos.push(demo);
  const addresses = await demo.addresses();
  return {
    demo,
    control: addresses.control,
    http: (region: string) => addresses.regions[region]?.http ?? "",
  };
}

/** What can be set, without the counters. */
async function linkSettings(control: string): Promise<unknown> {
  const { body } = await call("GET", `${control}/links`);
  const shape = Type.Object({
    links: Type.Array(Type.Object({ link: Type.String(), cut: Type.Unknown(), rttMs: Type.Number() })),
  });
  return Value.Parse(shape, body).links.map(({ link, cut, rttMs }) => ({ link, cut, rttMs }));
}

test("links are cut and healed, processes are stopped, killed and started, and SIGTERM leaves nothing", async () => {
  const { demo, control, http } = await start("--traffic", "0");
  const folder = await demo.dataFolder();
  const link = (body: unknown) => call("PUT", `${control}/links/cn-us`, body);
  const act = (action: string) => call("POST", `${control}/processes/us/node`, { action });
  const stateAt = async (region: string, user: string) =>
    (await call("GET", `${http(region)}/v1/users/${user}/presence`)).body;
  const login = (region: string, user: string) => call("POST", `${http(region)}/v1/sessions`, { user });

  // A one-way cut holds back what cn says, and healing lets it through.
  expect(await link({ cut: "cn->us", rttMs: 40 })).toMatchObject({
    status: 200,
    body: { link: "cn-us", cut: "cn→us", rttMs: 40 },
  });
  expect(await login("cn", "held")).toMatchObject({ status: 201 });
  await vi.waitFor(
    async () => expect(await stateAt("eu", "held")).toMatchObject({ status: "online" }),
    5_000,
  );
  expect(await stateAt("us", "held")).not.toMatchObject({ status: "online" });
  expect(await link({ cut: false })).toMatchObject({ body: { cut: false } });
  await vi.waitFor(
    async () => expect(await stateAt("us", "held")).toMatchObject({ status: "online" }),
    20_000,
  );

  // Bad input changes nothing and gets a problem.
  const before = await linkSettings(control);
  for (const bad of [{}, { cut: "us→eu" }, { rttMs: -1 }, { cut: true, more: 1 }, [], "x"])
    expect(await link(bad)).toMatchObject({ status: 400, type: expect.stringContaining("problem+json") });
  expect(await call("PUT", `${control}/links/cn-mars`, { cut: true })).toMatchObject({ status: 404 });
  expect(await act("explode")).toMatchObject({ status: 400 });
  expect(await act("start")).toMatchObject({ status: 409 });
  expect(await linkSettings(control)).toEqual(before);

  // A stopped process keeps its pid, a killed one is gone, a started one is another and serves again.
  expect(await act("stop")).toMatchObject({ status: 200, body: { state: "paused" } });
  expect(await act("continue")).toMatchObject({ status: 200, body: { state: "running" } });
  const first = (await processesOf(control))["us"]?.["node"]?.pid ?? 0;
  expect(isAlive(first)).toBe(true);
  expect(await act("kill")).toMatchObject({
    status: 200,
    body: { state: "down", pid: null, ended: "SIGKILL" },
  });
  expect(isAlive(first)).toBe(false);
  expect(await act("stop")).toMatchObject({ status: 409 });
  await expect(stateAt("us", "held")).rejects.toThrow("fetch failed");
  expect(await act("start")).toMatchObject({ status: 200, body: { state: "running" } });
  await vi.waitFor(
    async () => expect(await stateAt("us", "held")).toMatchObject({ status: "online" }),
    30_000,
  );

  const pids = pidsOf(await processesOf(control));
  expect(pids).toHaveLength(9);
  demo.child.kill("SIGTERM");
  expect(await demo.ended).toBe(0);
  await waitUntilGone(pids, folder);
});

test("after SIGKILL of the demo its processes and its folder go too, also a stopped process", async () => {
  const { demo, control } = await start("--traffic", "20");
  const folder = await demo.dataFolder();
  await call("POST", `${control}/processes/eu/replicator`, { action: "stop" });
  const pids = pidsOf(await processesOf(control));
  expect(pids).toHaveLength(9);
  demo.child.kill("SIGKILL");
  expect(await demo.ended).toBe("SIGKILL");
  await waitUntilGone(pids, folder);
});

test("what cannot be meant on the command line ends with 2 before anything is started", async () => {
  for (const args of [["--traffic", "-1"], ["--traffic", "many"], ["--nonsense"]]) {
    const demo = new Demo(args);
    demos.push(demo);
    expect(await demo.ended).toBe(2);
    expect(demo.stdout).toBe("");
    expect(demo.stderr).toMatch(/error: /);
  }
});
