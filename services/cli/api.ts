/** One region's HTTP API, for the command. Rule: an answer that is no success is an error that says what the region said. */
import { Type } from "typebox";
import { Compile } from "typebox/compile";

/** The body of a success. Throws with the reason of anything else. */
export type Api = (method: "GET" | "POST", path: string, body?: object) => Promise<unknown>;

const TIMEOUT_MS = 10_000;

const isProblem = Compile(Type.Object({ title: Type.String(), detail: Type.String() }));

export function apiAt(region: string, url: string, key: string): Api {
  return async (method, path, body) => {
    const headers = {
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(key !== "" && { authorization: `Bearer ${key}` }),
    };
    const init = { method, headers, signal: AbortSignal.timeout(TIMEOUT_MS) };
    const sent = fetch(url + path, body === undefined ? init : { ...init, body: JSON.stringify(body) });
    const answer = await sent.catch((error: unknown) => {
      throw new Error(`${region} cannot be reached at ${url}`, { cause: error });
    });
    const said: unknown = await answer.json().catch(() => undefined);
    if (answer.ok) return said;
    const why = isProblem.Check(said) ? `${said.title}. ${said.detail}` : `status ${answer.status}`;
    throw new Error(`${region} refuses ${method} ${path}: ${why}`);
  };
}
