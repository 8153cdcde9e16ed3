/** Calls of the friend requests' API, as the tests make them. */
import type { FastifyInstance } from "fastify";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** What any of the calls may answer. */
export interface Body {
  readonly id: string;
  readonly state: string;
  readonly token: string;
  readonly type: string;
  readonly unread: number;
  readonly offset: string;
  readonly readOffset: string;
  readonly cursor?: string;
  readonly requests: readonly { readonly id: string; readonly from: string; readonly to: string }[];
  readonly friends: readonly { readonly user: string; readonly presence: { readonly status: string } }[];
  readonly consistency: Readonly<Record<string, unknown>>;
}

export type Send = (method: string, path: string, body?: object, token?: string) => Promise<Answer>;

/** Over HTTP. */
export function sendTo(url: string): Send {
  return async (method, path, body, token) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(token !== undefined && { "rollcall-token": token }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: JSON.parse(text) };
  };
}

/** Into an app; `meanwhile` is called until the answer is there. */
export function sendInto(app: FastifyInstance, meanwhile: () => Promise<void>): Send {
  return async (method, url, payload = {}, token) => {
    const headers = token === undefined ? {} : { "rollcall-token": token };
    const bodyless = { method: method === "DELETE" ? "DELETE" : "GET", url, headers } as const;
    const withBody = { method: method === "PUT" ? "PUT" : "POST", url, headers, payload } as const;
    const answering = app.inject(method === "GET" || method === "DELETE" ? bodyless : withBody);
    const answered = answering.then((answer) => ({ answer }));
    for (;;) {
      const first = await Promise.race([answered, meanwhile()]);
      if (first === undefined) continue;
      const { statusCode: status, body } = first.answer;
      const sent = Object.entries(first.answer.headers).map(
        ([name, value]) => [name, String(value)] as const,
      );
      return { status, headers: new Headers(Object.fromEntries(sent)), body: JSON.parse(body) };
    }
  };
}

export const listPath = (user: string, query = ""): string => `/v1/users/${user}/friend-requests${query}`;

export const names = (list: readonly { readonly from: string; readonly to: string }[]): string[] =>
  list.map(({ from, to }) => `${from}>${to}`);
