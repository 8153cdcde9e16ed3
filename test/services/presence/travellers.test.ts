/** Automatic re-homing: whose logins all come from one other region moves there; nobody else does, and nobody before the home is settled. */
import { describe, expect, it } from "vitest";
import type { Command, Region } from "../../../replicator/core/commands.ts";
import { REHOME_LOGINS } from "../../../services/presence/travellers.ts";
import { Bench } from "../../core/presence-bench.ts";
import { accept, close, drop, open, progress, sessionOf } from "../../core/samples.ts";
import { Regions, until } from "./regions.ts";

/** A node of cn, ann's home, and what ann does in other regions. */
class Travel extends Bench {
  #ordinals = new Map<Region, number>();
  #sessions = 0;

  static async begin(rehomeLogins?: number): Promise<Travel> {
    const travel = new Travel();
    travel.start(undefined, rehomeLogins);
    travel.caughtUp();
    await travel.settle();
    await travel.open("ann", "phone");
    return travel;
  }

  /** Logins there, accepted by this home. */
  logins(region: Region, times: number): this {
    for (let n = 0; n < times; n++)
      this.accepted(region, open("ann", `${region}${(this.#sessions += 1)}`, region));
    return this;
  }

  accepted(region: Region, command: Parameters<typeof accept>[3]): this {
    const ordinal = (this.#ordinals.get(region) ?? 0) + 1;
    this.#ordinals.set(region, ordinal);
    this.log.push([accept(region, ordinal - 1, ordinal, command)]);
    this.fold();
    return this;
  }

  /** All peers say that they have folded what this log has. */
  heard(): this {
    const position = this.log.length;
    const peers = (other: Region) => [progress("cn", { position }), progress(other)];
    return this.peer("us", { kind: "watermark", peers: peers("eu") }).peer("eu", {
      kind: "watermark",
      peers: peers("us"),
    });
  }

  /** So long, with peers that hear everything; what was appended of releases. */
  async settled(ms = 3_000): Promise<Command[]> {
    const appended = await this.pass(ms, () => this.heard());
    return appended.filter(({ kind }) => kind === "release");
  }
}

const RELEASE = { kind: "release", user: "ann", to: "us" };

describe("a user who logs in from one other region", () => {
  it("is given over to it after so many logins in a row", async () => {
    const travel = await Travel.begin();
    travel.logins("us", REHOME_LOGINS - 1);
    expect(await travel.settled()).toEqual([]);
    travel.logins("us", 1);
    expect(await travel.settled()).toEqual([RELEASE]);
    expect(travel.presence.presence("ann").home).toBe("us");
    expect(travel.presence.travellers.moved).toBe(1);
  });

  it("after as many as are set, and never where none are", async () => {
    expect(await (await Travel.begin(2)).logins("us", 2).settled()).toEqual([RELEASE]);
    expect(await (await Travel.begin(0)).logins("us", 50).settled()).toEqual([]);
  });

  it("stays who logs in elsewhere in between: at home, or in a third region", async () => {
    const travel = await Travel.begin();
    for (let n = 0; n < 3; n++) {
      travel.logins("us", REHOME_LOGINS - 1).logins("eu", 1);
      expect(await travel.settled(500)).toEqual([]);
      travel.logins("us", REHOME_LOGINS - 1);
      await travel.open("ann", "phone");
      expect(await travel.settled(500)).toEqual([]);
    }
    expect(travel.presence.presence("ann").home).toBe("cn");
  });

  it("is not counted twice for a session that is opened again, nor for what was processed before", async () => {
    const travel = await Travel.begin(2);
    const login = open("ann", "x", "us");
    travel.accepted("us", login).accepted("us", login).accepted("us", close("ann", "x"));
    travel.log.push([accept("us", 0, 1, login)]);
    travel.fold();
    expect(await travel.settled()).toEqual([]);
    travel.logins("us", 1);
    expect(await travel.settled()).toEqual([RELEASE]);
  });

  it("is counted anew after a restart of the home's node", async () => {
    const travel = await Travel.begin();
    travel.logins("us", REHOME_LOGINS - 1);
    travel.start();
    travel.caughtUp();
    travel.logins("us", 1);
    expect(await travel.settled()).toEqual([]);
  });

  it("stays where a login from elsewhere comes before the release", async () => {
    const travel = await Travel.begin(2);
    travel.logins("us", 2).logins("eu", 1);
    expect(await travel.settled()).toEqual([]);
  });
});

describe("a release is not attempted", () => {
  it("while a region has not said that it knows the home, and is once it has", async () => {
    const travel = await Travel.begin(2);
    travel.logins("us", 2);
    expect((await travel.pass(10_000)).filter(({ kind }) => kind === "release")).toEqual([]);
    expect(await travel.settled(10_000)).toEqual([RELEASE]);
    expect(travel.presence.travellers.moved).toBe(1);
  });

  it("for ever: the next login of the series tries again", async () => {
    const travel = await Travel.begin(2);
    travel.logins("us", 2);
    for (let n = 0; n < 60; n++) {
      travel.ms += 5_000;
      travel.presence.tick();
      await travel.settle();
      travel.fold();
    }
    expect(await travel.settled(20_000)).toEqual([]);
    travel.logins("us", 1);
    expect(await travel.settled()).toEqual([RELEASE]);
  });

  it("for who lives elsewhere already", async () => {
    const travel = await Travel.begin(2);
    travel.logins("us", 2);
    travel.log.push([drop("ann", "us")]);
    travel.fold();
    expect(await travel.settled()).toEqual([]);
    expect(travel.presence.travellers.moved).toBe(0);
  });

  it("while the region's log takes nothing", async () => {
    const travel = await Travel.begin(2);
    travel.logins("us", 2);
    travel.canAppend = false;
    expect(await travel.settled()).toEqual([]);
    travel.canAppend = true;
    expect(await travel.settled()).toEqual([RELEASE]);
  });
});

it("claims and opens of other users say nothing of a user's logins", async () => {
  const travel = await Travel.begin(2);
  const epoch = { generation: 0, count: 4 };
  const sessions = [sessionOf("b", "us")];
  travel.accepted("us", { kind: "claim", user: "bob", epoch, sessions, preferred: "automatic", untilMs: 0 });
  travel.accepted("us", open("bob", "b2", "us")).accepted("us", open("eve", "e1", "us"));
  expect(await travel.settled()).toEqual([]);
});

it("in three regions a traveller moves, and is online everywhere after every frame; one who alternates stays", async () => {
  const regions = new Regions(["cn", "eu", "us"]);
  await regions.start("cn", "eu", "us");
  await regions.open("cn", "ann", "bob");
  await until("all know them", () => regions.names.every((name) => regions.online(name) === 2));
  const { seen, unwatch } = watched(regions, ["ann", "bob"]);
  const homeOf = (user: string): (Region | undefined)[] =>
    regions.names.map((name) => regions.node(name).presence.node.replica.winner(user));
  const { replica } = regions.node("cn").presence.node;
  for (let n = 0; n < REHOME_LOGINS; n++) {
    await regions.open("us", "ann");
    await regions.open(n % 2 === 0 ? "us" : "eu", "bob");
    for (const user of ["ann", "bob"])
      await until("cn has accepted", () => replica.fold("cn")?.homed(user)?.sessions.length === n + 2);
  }
  await until("ann has moved", () => homeOf("ann").every((home) => home === "us"));
  unwatch();
  expect(new Set(seen)).toEqual(new Set(["online"]));
  expect(seen.length).toBeGreaterThan(100);
  expect(homeOf("bob")).toEqual(["cn", "cn", "cn"]);
  expect(regions.node("cn").presence.travellers.moved).toBe(1);
  const metrics = await (await fetch(`${regions.node("cn").url}/metrics`)).text();
  expect(metrics).toContain("rollcall_users_rehomed_total 1");
  await regions.stop();
});

/** What each region shows of each user after every frame that it folds. */
function watched(regions: Regions, users: readonly string[]): { seen: string[]; unwatch: () => void } {
  const seen: string[] = [];
  let isWatching = true;
  for (const name of regions.names) {
    const { presence } = regions.node(name);
    const folded = presence.folded.bind(presence);
    presence.folded = (...frame) => {
      folded(...frame);
      if (isWatching) seen.push(...users.map((user) => presence.presence(user).status));
    };
  }
  return {
    seen,
    unwatch: () => {
      isWatching = false;
    },
  };
}
