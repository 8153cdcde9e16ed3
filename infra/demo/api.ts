/**
 * The part of the public API that the demo uses, as a client of any region.
 * Rule: an answer counts only if it has the shape the API promises; another shape is a failure with a reason.
 */
import { Type, type Static, type TProperties, type TSchema } from "typebox";
import { Compile, type Validator } from "typebox/compile";
import type { Answer, HttpClient, Method } from "./http.ts";

const SessionShape = Type.Object({
  session: Type.String(),
  region: Type.String(),
  platform: Type.String(),
  status: Type.String(),
  freshness: Type.String(),
});

const PresenceShape = Type.Object({
  user: Type.String(),
  status: Type.String(),
  home: Type.Optional(Type.String()),
  epoch: Type.Unknown(),
  version: Type.Number(),
  sessions: Type.Array(SessionShape),
  freshness: Type.String(),
});
export type Presence = Static<typeof PresenceShape>;

const OpenedShape = Type.Object({
  session: Type.String(),
  user: Type.String(),
  home: Type.String(),
  region: Type.String(),
  heartbeatSeconds: Type.Number(),
  token: Type.String(),
});
export type Opened = Static<typeof OpenedShape>;

const nullable = <T extends TSchema>(shape: T) => Type.Optional(Type.Union([shape, Type.Null()]));

const LinkShape = Type.Object({
  origin: Type.String(),
  replica: Type.String(),
  state: Type.String(),
  reason: nullable(Type.String()),
  eventsBehind: nullable(Type.Number()),
  watermarkAgeMs: nullable(Type.Number()),
  loopLagMs: nullable(Type.Number()),
});
export type Link = Static<typeof LinkShape>;

const RenewedShape = Type.Object({
  renewed: Type.Number(),
  ended: Type.Array(Type.Object({ session: Type.String(), reason: Type.String() })),
  undecided: Type.Optional(Type.Array(Type.String())),
});
export type Renewed = Static<typeof RenewedShape>;

const validators = {
  presence: Compile(PresenceShape),
  presences: Compile(Type.Object({ presences: Type.Array(PresenceShape) })),
  opened: Compile(OpenedShape),
  page: Compile(Type.Object({ users: Type.Array(PresenceShape), cursor: Type.Optional(Type.String()) })),
  replication: Compile(Type.Object({ region: Type.String(), links: Type.Array(LinkShape) })),
  renewed: Compile(RenewedShape),
};

export type Result<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string };

export interface Login {
  readonly user: string;
  readonly device?: string;
  readonly platform?: string;
  readonly home?: string;
  readonly policy?: string;
}

const PAGE_LIMIT = 500;

/** The API of one region. */
export class RegionApi {
  readonly url: string;
  private readonly http: HttpClient;

  constructor(url: string, http: HttpClient) {
    this.url = url;
    this.http = http;
  }

  login(login: Login): Promise<Result<Opened>> {
    return this.call("POST", "/v1/sessions", 201, validators.opened, login);
  }

  presence(user: string): Promise<Result<Presence>> {
    return this.call("GET", `/v1/users/${encodeURIComponent(user)}/presence`, 200, validators.presence);
  }

  /** In the order asked. */
  async presences(users: readonly string[]): Promise<Result<readonly Presence[]>> {
    const answer = await this.call("POST", "/v1/presence", 200, validators.presences, { users });
    return answer.ok ? { ok: true, value: answer.value.presences } : answer;
  }

  heartbeats(sessions: readonly string[]): Promise<Result<Renewed>> {
    return this.call("POST", "/v1/heartbeats", 200, validators.renewed, { sessions });
  }

  async links(): Promise<Result<readonly Link[]>> {
    const answer = await this.call("GET", "/v1/replication", 200, validators.replication);
    return answer.ok ? { ok: true, value: answer.value.links } : answer;
  }

  /** Everyone online, through all pages. */
  async online(): Promise<Result<readonly Presence[]>> {
    const users: Presence[] = [];
    let cursor: string | undefined;
    do {
      const query = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page = await this.call("GET", `/v1/online?limit=${PAGE_LIMIT}${query}`, 200, validators.page);
      if (!page.ok) return page;
      users.push(...page.value.users);
      cursor = page.value.cursor;
    } while (cursor !== undefined);
    return { ok: true, value: users };
  }

  /** For calls whose body is of no interest: the status, or why there is none. */
  send(method: Method, path: string, body?: unknown): Promise<Answer> {
    return this.http.send(method, this.url, path, body);
  }

  private async call<T extends TSchema>(
    method: Method,
    path: string,
    status: number,
    shape: Validator<TProperties, T>,
    body?: unknown,
  ): Promise<Result<Static<T>>> {
    const answer = await this.http.send(method, this.url, path, body);
    if (!answer.ok) return answer;
    if (answer.status !== status)
      return { ok: false, reason: `status ${answer.status}: ${JSON.stringify(answer.body)}` };
    if (!shape.Check(answer.body)) return { ok: false, reason: `${method} ${path} answers in another shape` };
    return { ok: true, value: answer.body };
  }
}
