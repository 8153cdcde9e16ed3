/**
 * Hostile HTTP requests, each made anew from a random source. Rule: not one of them is a request that this API accepts, so each must be
 * refused; `what` says what is wrong with it.
 */

export type Random = () => number;

export interface Hostile {
  readonly what: string;
  /** As they go over the wire, one character a byte. */
  readonly bytes: (random: Random) => string;
}

/** mulberry32: the same seed draws the same numbers. */
export function seeded(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function draw<T>(from: readonly T[], random: Random): T {
  const drawn = from[Math.floor(random() * from.length)];
  if (drawn === undefined) throw new Error("there is nothing to draw from");
  return drawn;
}

const BODIES: readonly (readonly [method: string, path: string])[] = [
  ["POST", "/v1/sessions"],
  ["POST", "/v1/presence"],
  ["POST", "/v1/heartbeats"],
  ["PATCH", "/v1/sessions/abc"],
  ["PUT", "/v1/users/eve/status"],
  ["PUT", "/v1/switches/reads"],
  ["PUT", "/v1/regions/us/write-off"],
];
const PATHS = ["/v1/users/ID/presence", "/v1/users/ID/sessions", "/v1/online", "/v1/occupancy"];
const HOST = "Host: x\r\n";
const JSON_TYPE = "Content-Type: application/json\r\n";

function send(method: string, path: string, body: string, headers = JSON_TYPE): string {
  return `${method} ${path} HTTP/1.1\r\n${HOST}${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
}

function get(path: string, headers = ""): string {
  return `GET ${path} HTTP/1.1\r\n${HOST}${headers}\r\n`;
}

function posted(what: string, body: (random: Random) => string): Hostile {
  return {
    what,
    bytes: (random) => {
      const [method, path] = draw(BODIES, random);
      return send(method, path, body(random));
    },
  };
}

function asked(
  what: string,
  path: (random: Random) => string,
  headers: (random: Random) => string = () => "",
): Hostile {
  return { what, bytes: (random) => get(path(random), headers(random)) };
}

const word = (random: Random): string => Math.floor(random() * 2 ** 40).toString(36);
const noise = (random: Random, length: number): string =>
  Array.from({ length }, () => String.fromCharCode(128 + Math.floor(random() * 120))).join("");
const anyPath = (random: Random): string => draw(PATHS, random).replace("ID", word(random));

export const hostile: readonly Hostile[] = [
  posted("a body cut off", (random) => `{"user":"${word(random)}","device":`),
  posted("a body of noise", (random) => noise(random, 1 + Math.floor(random() * 300))),
  posted("a scalar", (random) => draw(["1", "true", "null", '"x"', "[]", "[{}]", "-0", "1e999"], random)),
  posted("a deep nest", (random) => {
    const deep = 1 + Math.floor(random() * 20_000);
    return `${"[".repeat(deep)}${"]".repeat(deep)}`;
  }),
  posted("__proto__", (random) => `{"user":"eve","__proto__":{"${word(random)}":1}}`),
  posted("an escaped __proto__", () => String.raw`{"user":"eve","\u005f\u005fproto__":{"polluted":1}}`),
  posted("constructor.prototype", () => '{"user":"eve","constructor":{"prototype":{"polluted":1}}}'),
  posted("__proto__ in the state", () => '{"user":"eve","state":{"a":{"__proto__":{"polluted":1}}}}'),
  posted("an unknown field", (random) => `{"user":"eve","users":[],"sessions":[],"${word(random)}":1}`),
  posted("values of other types", (random) => {
    const value = draw(
      ["1", "null", "[]", "{}", "true", '""', '"a b"', '"\\u0000"', `"${"x".repeat(65)}"`],
      random,
    );
    return `{"user":${value},"status":${value},"users":${value},"sessions":{"a":${value}}}`;
  }),
  posted("a body over the limit", () => `{"user":"${"x".repeat(300_000)}"}`),
  {
    what: "another content type",
    bytes: (random) => {
      const type = draw(
        ["text/plain", "text/html", "application/xml", "multipart/form-data", "x", "application/jsonp"],
        random,
      );
      return send("POST", "/v1/sessions", '{"user":"eve"}', `Content-Type: ${type}\r\n`);
    },
  },
  {
    what: "another method",
    bytes: (random) =>
      send(
        draw(["PUT", "DELETE", "PATCH"], random),
        draw(["/v1/online", "/v1/presence", "/v1/audit"], random),
        "",
      ),
  },
  asked(
    "no such path",
    (random) =>
      draw(["/", "/v1", "/v2/online", "/v1/../../etc/passwd", "/.git/config", "/v1/users"], random) +
      word(random),
  ),
  asked(
    "a bad id",
    (random) =>
      `/v1/users/${draw(["%00", "..%2f..%2fx", "%F0%9F%92%A9", "a%20b", "x".repeat(65), "a;drop", "<b>"], random)}/presence`,
  ),
  asked("a bad escape", (random) => `/v1/users/%${draw(["ZZ", "1", "GG", "%"], random)}/presence`),
  asked("an id too long to route", () => `/v1/users/${"x".repeat(400)}/presence`),
  asked("a bad query", (random) => {
    const queries = [
      "limit=-1",
      "limit=1e9",
      "limit[]=1",
      "waitMs=x",
      "consistency=none",
      "token=%00",
      "__proto__[polluted]=1",
    ];
    return `/v1/online?${draw([...queries, "constructor.prototype.polluted=1", "cursor=AAAA", "region=NOWHERE!"], random)}`;
  }),
  asked("a bad token", anyPath, (random) => `Rollcall-Token: ${word(random)};${word(random)}\r\n`),
  asked("headers over the limit", anyPath, (random) => `X-${word(random)}: ${"x".repeat(20_000)}\r\n`),
  { what: "no HTTP", bytes: (random) => `${noise(random, 40)}\r\n\r\n` },
  {
    what: "an unknown method",
    bytes: (random) => `${word(random).toUpperCase().replaceAll(/[0-9]/g, "X")} / HTTP/1.1\r\n${HOST}\r\n`,
  },
  {
    what: "two lengths",
    bytes: () =>
      `POST /v1/sessions HTTP/1.1\r\n${HOST}${JSON_TYPE}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}`,
  },
  {
    what: "a length and chunks",
    bytes: () =>
      `POST /v1/sessions HTTP/1.1\r\n${HOST}${JSON_TYPE}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  },
  {
    what: "a bad chunk",
    bytes: (random) =>
      `POST /v1/sessions HTTP/1.1\r\n${HOST}${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${word(random)}z\r\n{}`,
  },
  {
    what: "a bad header",
    bytes: (random) => `GET /v1/token HTTP/1.1\r\n${HOST}${noise(random, 5)} : x\r\n\r\n`,
  },
];
