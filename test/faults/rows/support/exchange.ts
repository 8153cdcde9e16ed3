/** Bytes to a server and what comes back, on a connection of their own: for requests that no HTTP client would send. */
import { connect } from "node:net";

export interface Exchanged {
  /** 0: nothing came back. */
  readonly status: number;
  /** Of a problem: the path in its `type`. */
  readonly type: string | undefined;
  /** The first line of the answer, or why there is none. */
  readonly head: string;
}

const TIMEOUT_MS = 30_000;

/** Resolves when the first answer is whole, or the connection has ended. */
export function exchange(url: string, bytes: string): Promise<Exchanged> {
  const { port, hostname } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    let text = "";
    let failure = "the connection ended without an answer";
    socket.setEncoding("latin1");
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error("no answer in time")));
    socket.on("connect", () => socket.write(bytes, "latin1"));
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (isWhole(text)) socket.destroy();
    });
    socket.on("error", (error) => (failure = error.message));
    socket.on("close", () =>
      resolve(text === "" ? { status: 0, type: undefined, head: failure } : read(text)),
    );
  });
}

function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? Number.NaN);
  return text.length >= end + 4 + length;
}

function read(text: string): Exchanged {
  const [head = "", ...rest] = text.split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? 0);
  const isProblem = /\r\ncontent-type: application\/problem\+json/i.test(text);
  const type = /"type":"(\/problems\/[a-z-]+)"/.exec(rest.join("\r\n"))?.[1];
  return { status, type: isProblem ? type : undefined, head };
}
