/**
 * Who may call what: API keys, each with one role, sent as `Authorization: Bearer KEY`.
 * Rule: keys are kept and compared only as SHA-256 digests, every configured key on every request, in constant time;
 * a node without keys answers everybody and therefore binds a loopback address only.
 *
 * The role `user` of the API needs an identity to restrict a caller to their own sessions, so it is no role of a key.
 */
import { hash, timingSafeEqual } from "node:crypto";

import type { FastifyInstance } from "fastify";

import { Refusal } from "./problems.ts";

export const ROLES = ["frontend", "service", "operator"] as const;
export type Role = (typeof ROLES)[number];

export interface ApiKey {
  readonly role: Role;
  readonly key: string;
}
export type ApiKeys = readonly ApiKey[];

export type ParsedKeys =
  | { readonly ok: true; readonly keys: ApiKeys }
  /** One line per bad entry. An entry is named by its place: a key never appears in a message. */
  | { readonly ok: false; readonly errors: readonly string[] };

/** Characters of RFC 6750's b64token; shorter keys can be guessed. */
const KEY = /^[A-Za-z0-9._~+/-]{16,128}={0,2}$/;
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]{1,128}={0,2})$/i;

function isRole(text: string): text is Role {
  return ROLES.some((role) => role === text);
}

/** Reads `frontend:KEY,operator:KEY`. Empty text means no keys. A role may have several keys, so that keys can rotate. */
export function parseKeys(text: string): ParsedKeys {
  const keys: ApiKey[] = [];
  const errors: string[] = [];
  const entries = text.trim() === "" ? [] : text.split(",");
  for (const [index, entry] of entries.entries()) {
    const [role = "", ...rest] = entry.trim().split(":");
    const key = rest.join(":");
    const place = `key ${index + 1}`;
    if (!isRole(role)) errors.push(`${place}: the role must be one of ${ROLES.join(", ")}`);
    else if (!KEY.test(key)) errors.push(`${place}: must be 16 to 128 characters of A-Z a-z 0-9 . _ ~ + / -`);
    else if (keys.some((known) => known.key === key)) errors.push(`${place}: given twice`);
    else keys.push({ role, key });
  }
  return errors.length === 0 ? { ok: true, keys } : { ok: false, errors };
}

const LOOPBACK = /^(?:localhost|::1|127(?:\.(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3})$/;

export type BindHost =
  | { readonly ok: true; readonly host: string }
  | { readonly ok: false; readonly reason: string };

/** The host to listen on: without keys only a loopback one is granted. */
export function bindHost(keys: ApiKeys, wantedHost: string): BindHost {
  if (keys.length > 0 || LOOPBACK.test(wantedHost)) return { ok: true, host: wantedHost };
  const reason = `without API keys a node answers everybody, so it binds a loopback address only, not ${wantedHost}`;
  return { ok: false, reason };
}

/** Lets only the given roles through; adds no hook at all when there are no keys. */
export function guard(scope: FastifyInstance, keys: ApiKeys, roles: readonly Role[]): void {
  if (keys.length === 0) return;
  const ring = keys.map(({ role, key }) => ({ role, digest: digestOf(key) }));
  scope.addHook("onRequest", (request, _reply, done) => {
    const refusal = refusalOf(ring, roles, request.headers.authorization);
    if (refusal === undefined) done();
    else done(refusal);
  });
}

/** By way of hex, which is three times as fast as asking for a buffer. */
function digestOf(key: string): Buffer {
  return Buffer.from(hash("sha256", key), "latin1");
}

function refusalOf(
  ring: readonly { readonly role: Role; readonly digest: Buffer }[],
  roles: readonly Role[],
  authorization: string | undefined,
): Refusal | undefined {
  if (authorization === undefined) return unauthorized("No key was sent.", "");
  const presented = BEARER.exec(authorization)?.[1];
  if (presented === undefined) return unauthorized("The Authorization header is not `Bearer KEY`.", "");
  const digest = digestOf(presented);
  let role: Role | undefined;
  for (const entry of ring) if (timingSafeEqual(entry.digest, digest)) role = entry.role;
  if (role === undefined) return unauthorized("The key is not known here.", ', error="invalid_token"');
  if (roles.includes(role)) return undefined;
  const detail = `A key of the role ${role} may not do this.`;
  return new Refusal({ name: "forbidden", detail, members: { role, roles } });
}

function unauthorized(detail: string, challenge: string): Refusal {
  const headers = { "www-authenticate": `Bearer realm="rollcall"${challenge}` };
  return new Refusal({ name: "unauthorized", detail, headers });
}
