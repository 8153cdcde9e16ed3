/**
 * Reads that say how fresh they must be, as clients make them: with a token, the latest, or bounded. Rule (invariant 8): an answer that claims
 * to be so is compared with what the logs and the clients know, the position and what is shown; a claim that does not hold ends the run.
 *
 *   read    | counted when, as it was asked for                 | the claim holds if who answered has
 *   --------+---------------------------------------------------+-----------------------------------------------------
 *   token   | the replica lacked something the token speaks of  | all that it speaks of
 *   latest  | it lacked something that some log had             | all that every log had; of a log's end that an heir went on without
 *           |                                                   | while the read waited, the heir's beginning instead
 *   bounded | it lacked something of some age                   | all that is older than the bound
 *
 * A read of a replica that has everything is made too and counted apart: its claim cannot be false.
 */
import type { Region } from "../../replicator/core/commands.ts";
import { mergeTokens } from "../../replicator/core/token.ts";
import type { Token } from "../../replicator/core/token.ts";
import { aboutRequests, shownBy } from "../../services/friends/pages.ts";
import type { Page } from "../../services/friends/pages.ts";
import type { Presence } from "../../services/presence/presence.ts";
import type { ReadAbout } from "../../services/presence/reads.ts";
import type { Consistency, Outcome, PresenceView, ReadOptions } from "../../services/presence/service.ts";
import type { Asked, Befrienders } from "./befrienders.ts";
import type { Bounds } from "./bounds.ts";
import type { Clients, Held } from "./clients.ts";
import type { Contact } from "./contact.ts";
import type { Place } from "./history.ts";
import type { Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import { Random } from "./random.ts";
import { REGIONS } from "./settings.ts";
import type { World } from "./world.ts";

/** With tokens, of each serving node each time; most do not wait, as a wait is news to the whole world. */
const TOKEN_READS = 3;
const TOKEN_WAITS = 0.01;
/** So many tokens are tried for one that speaks of something that the node lacks. */
const TOKENS_TRIED = 24;
const MERGED = 0.3;
/** Of the nodes, each time. */
const LATEST = 0.02;
const BOUNDED = 1;
const WAIT_MS_MAX = 1_000;
const STALENESS_MS_MAX = 2_000;

/** What one read is to show, and what of the logs its answer must rest on. */
interface Wanted {
  readonly held: Held | undefined;
  readonly asked: Asked | undefined;
  readonly places: readonly Place[];
}

export class FreshReads {
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #clients: Clients;
  readonly #befrienders: Befrienders;
  readonly #bounds: Bounds;
  readonly #contact: Contact;
  readonly #random: Random;
  readonly counts = {
    tokenReads: 0,
    tokenReadsOfTheWhole: 0,
    latestReads: 0,
    latestReadsOfTheWhole: 0,
    boundedReads: 0,
    boundedReadsOfTheWhole: 0,
    tokenClaims: 0,
    latestClaims: 0,
    boundedClaims: 0,
    freshElsewhere: 0,
    sessionsShownFresh: 0,
    requestsShownFresh: 0,
    falseFresh: 0,
  };

  constructor(
    world: World,
    ledger: Ledger,
    clients: Clients,
    befrienders: Befrienders,
    looks: { readonly bounds: Bounds; readonly contact: Contact },
  ) {
    this.#world = world;
    this.#ledger = ledger;
    this.#clients = clients;
    this.#befrienders = befrienders;
    this.#bounds = looks.bounds;
    this.#contact = looks.contact;
    this.#random = new Random(world.settings.seed, "fresh reads");
  }

  /** Reads on all nodes that serve. */
  read(): void {
    if (!this.#world.settings.doings.includes("fresh-reads")) return;
    for (const region of REGIONS) {
      const host = this.#world.serving(region);
      const { presence } = host;
      if (!host.ready || presence === undefined) continue;
      this.#world.machine.enter(host.process);
      for (let one = 0; one < TOKEN_READS; one++) this.#token(host, presence);
      if (this.#random.chance(LATEST)) this.#latest(host, presence);
      if (this.#random.chance(BOUNDED)) this.#bounded(host, presence);
    }
  }

  #token(host: NodeHost, presence: Presence): void {
    const wanted = this.#random.chance(0.5) ? this.#aboutRequest(host) : this.#aboutSession(host);
    const waitMs = this.#random.chance(TOKEN_WAITS) ? this.#random.between(1, WAIT_MS_MAX) : 0;
    if (wanted === undefined) return;
    const { token, places } = wanted;
    this.counts[lacks(host, places) ? "tokenReads" : "tokenReadsOfTheWhole"] += 1;
    this.#read(host, presence, wanted, { mode: "token", token, waitMs: Math.round(waitMs) });
  }

  /** Besides, B was phoned: what anybody was told before the read began must be in a satisfied answer. */
  #latest(host: NodeHost, presence: Presence): void {
    const places = REGIONS.flatMap((region) => this.#world.end(region) ?? []);
    const held = this.#pick(this.#clients.tokens);
    const asked =
      held === undefined || this.#random.chance(0.5) ? this.#pick(this.#befrienders.asked) : undefined;
    if (held === undefined && asked === undefined) return;
    this.counts[lacks(host, places) ? "latestReads" : "latestReadsOfTheWhole"] += 1;
    this.#read(
      host,
      presence,
      { held: asked === undefined ? held : undefined, asked, places },
      { mode: "latest", waitMs: WAIT_MS_MAX },
    );
  }

  #bounded(host: NodeHost, presence: Presence): void {
    const maxStalenessMs = Math.round(this.#random.between(0, STALENESS_MS_MAX));
    const behindMs = Math.max(...REGIONS.map((region) => this.#contact.behindMs(host, region)));
    this.counts[behindMs > 0 ? "boundedReads" : "boundedReadsOfTheWhole"] += 1;
    const check = (met: Outcome<Consistency>): void => {
      if (!met.ok) return this.#world.machine.fail(`a bounded read failed: ${met.problem.name}`);
      if (!met.value.satisfied) return;
      this.counts.boundedClaims += 1;
      for (const region of REGIONS) {
        const isMs = this.#contact.behindMs(host, region);
        if (isMs > maxStalenessMs + this.#slackMs())
          this.#false(
            `${host.name} called an answer at most ${maxStalenessMs} ms old and has not heard of ${region} for ${isMs.toFixed(0)} ms`,
          );
      }
    };
    void presence.consistency({ mode: "bounded", maxStalenessMs, waitMs: 0 }).then(check);
  }

  /** How late a node's own clock can be told what the peer's says. */
  #slackMs(): number {
    return this.#contact.propagationMs;
  }

  #aboutSession(host: NodeHost): (Wanted & { readonly token: Token }) | undefined {
    const held = this.#lacking(host, this.#clients.tokens);
    const other = this.#random.chance(MERGED) ? this.#pick(this.#clients.tokens) : undefined;
    if (held === undefined) return undefined;
    const merged = { held, asked: undefined, token: held.token, places: held.places };
    if (other === undefined || !isOfOneTime(held.token, other.token)) return merged;
    return {
      ...merged,
      token: mergeTokens(other.token, held.token),
      places: [...held.places, ...other.places],
    };
  }

  #aboutRequest(host: NodeHost): (Wanted & { readonly token: Token }) | undefined {
    const asked = this.#lacking(
      host,
      this.#befrienders.asked.map((one) => ({ ...one, places: [one.place] })),
    );
    return asked && { held: undefined, asked, token: asked.token, places: asked.places };
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from[this.#random.below(from.length)];
  }

  /** One that speaks of something that the node lacks; any, where none is found. */
  #lacking<T extends { readonly places: readonly Place[] }>(
    host: NodeHost,
    all: readonly T[],
  ): T | undefined {
    const start = this.#random.below(Math.min(all.length, TOKENS_TRIED));
    const newest = all.slice(-TOKENS_TRIED);
    for (let at = 0; at < newest.length; at++) {
      const one = newest[(start + at) % newest.length];
      if (one !== undefined && lacks(host, one.places)) return one;
    }
    return newest[start];
  }

  #read(host: NodeHost, presence: Presence, wanted: Wanted, options: Waiting): void {
    const answered = this.#bounds.waits(host, options.waitMs);
    const lives = new Map(REGIONS.map((region) => [region, this.#world.serving(region).process.number]));
    const check = (outcome: Outcome<Answer>): void => {
      answered();
      this.#answered(host, wanted, lives, outcome);
    };
    void answerOf(presence, wanted, options).then(check);
  }

  #answered(
    host: NodeHost,
    wanted: Wanted,
    lives: ReadonlyMap<Region, number>,
    outcome: Outcome<Answer>,
  ): void {
    const { machine, history } = this.#world;
    if (!outcome.ok) {
      const isOther = wanted.places.some(({ strand }) => this.#world.hasAnother(host, strand));
      if (outcome.problem.name !== "token-log-replaced" || !isOther)
        machine.fail(`a fresh read failed: ${outcome.problem.name}`);
      return;
    }
    const { value, consistency } = outcome.value;
    if (!consistency.satisfied) return;
    this.counts[consistency.mode === "token" ? "tokenClaims" : "latestClaims"] += 1;
    const region = consistency.servedBy.replace("home:", "");
    const other = this.#world.serving(region);
    const isSame = other === host || other.process.number === lives.get(region);
    if (other !== host) this.counts.freshElsewhere += 1;
    // What a node had that has died since, nobody can say.
    if (!isSame) return;
    const isToken = consistency.mode === "token";
    const places = wanted.places.map((place) =>
      isToken || other.has(place) ? place : history.counted(place),
    );
    if (lacks(other, places))
      return this.#false(`${other.name} called an answer (${consistency.mode}) satisfied that is not`);
    this.#shows(other, { ...wanted, places }, value, consistency.mode);
  }

  /** What was acknowledged at what the answer claims to have is in it. */
  #shows(host: NodeHost, { held, asked, places }: Wanted, value: Shown, mode: string): void {
    const { history, machine } = this.#world;
    const covers = (place: Place): boolean => places.some((one) => history.has(one, place));
    if (asked !== undefined && !Array.isArray(value) && "requests" in value) {
      if (!this.#befrienders.stands(asked) || !covers(asked.place)) return;
      this.counts.requestsShownFresh += 1;
      const isThere = value.requests.some(
        ({ from, to, round }) => from === asked.from && to === asked.to && round === asked.round,
      );
      if (!isThere)
        this.#false(`${host.name} answered (${mode}) without ${asked.from}'s request to ${asked.to}`);
    }
    if (held === undefined || !Array.isArray(value)) return;
    const hides = this.#clients.preferred.get(held.user)?.has("invisible") === true;
    for (const account of hides ? [] : this.#ledger.of(held.user)) {
      const { openAcked, id } = account;
      if (openAcked === undefined || this.#ledger.mayBeOver(account, machine.nowMs) || !covers(openAcked))
        continue;
      this.counts.sessionsShownFresh += 1;
      const [view] = value;
      if (view?.sessions.some(({ session }: { session: string }) => session === id) !== true)
        this.#false(`${host.name} answered (${mode}) without ${id} of ${held.user}`);
    }
  }

  #false(what: string): void {
    this.counts.falseFresh += 1;
    this.#world.machine.fail(`invariant 8: ${what}`);
  }
}

type Waiting = Extract<ReadOptions, { readonly mode: "token" | "latest" }>;
type Shown = readonly PresenceView[] | Page;
type Answer = Pick<ReadAbout<Shown>, "value" | "consistency">;

async function answerOf(
  presence: Presence,
  { held, asked }: Wanted,
  options: Waiting,
): Promise<Outcome<Answer>> {
  if (asked !== undefined) {
    const question = { kind: "friend-requests", user: asked.to, direction: "in", limit: 100 } as const;
    return presence.reads.readAbout(aboutRequests(shownBy(presence), REGIONS, question), options);
  }
  const read = await presence.read(held === undefined ? [] : [held.user], options);
  if (!read.ok) return read;
  const { presences, consistency } = read.value;
  return { ok: true, value: { value: presences, consistency } };
}

function lacks(host: NodeHost, places: readonly Place[]): boolean {
  return !places.every((place) => host.has(place));
}

/** Whether no region's log is named with two identities. */
function isOfOneTime(a: Token, b: Token): boolean {
  return [...a].every(([region, { logId }]) => (b.get(region)?.logId ?? logId) === logId);
}
