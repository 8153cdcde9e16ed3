/**
 * One connection to one NATS server or cluster, kept for as long as the process wants it.
 * Rule: it never gives up, never throws for a server that is away, and never buffers what cannot be sent: a request made while
 * disconnected fails at once, and one in flight fails when the connection is lost.
 */
import { connect, errors, nkeyAuthenticator, type Msg, type MsgHdrs, type NatsConnection } from "nats";
import type { NodeConnectionOptions, Payload, Status, Subscription } from "nats";
import { LIMITS } from "../core/limits.ts";
import type { ConnectionHandler } from "./port.ts";

const RETRY_MS = 250;
const RETRY_JITTER_MS = 250;
/** One attempt to connect, handshake included. A link that swallows bytes must not hold an attempt past its healing. */
const HANDSHAKE_MS = 2_500;
const PING_INTERVAL_MS = 5_000;
const PINGS_UNANSWERED_MAX = 2;
const PROBE_MS = 2_000;
const FLUSH_ON_CLOSE_MS = 1_000;
/** Nobody listens on the subject: no stream has it, or JetStream is not ready. */
export const NO_RESPONDERS = 503;
/** The stream's limits are reached. */
const STREAM_STORE_FAILED = 10_077;

export interface ConnectOptions {
  /** Addresses of one NATS, comma-separated: `nats://10.0.0.1:4222,nats://10.0.0.2:4222`. May carry `user:password@`. */
  readonly servers: string;
  /** Shown to operators in the server's connection list. */
  readonly name: string;
  /** Seed of an nkey (`SU…`) to log in with. */
  readonly nkeySeed?: string;
  /** Paths for TLS; an empty object demands TLS with the system's authorities. */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
}

export type Failure =
  /** No answer in time, not connected, or JetStream is not ready. The request may have been executed. */
  | { readonly ok: false; readonly kind: "unavailable"; readonly code: number; readonly detail: string }
  /** Refused by client or server; `code` is JetStream's `err_code`, 0 without one. */
  | { readonly ok: false; readonly kind: "refused"; readonly code: number; readonly detail: string };
export type Answer<T> = { readonly ok: true; readonly value: T } | Failure;

interface Call {
  readonly bytes: number;
  readonly settle: (answer: Answer<Msg>) => void;
}
interface Listener {
  readonly subject: string;
  readonly handler: (payload: Uint8Array) => void;
  subscription: Subscription | undefined;
}

export function unavailable(detail: string): Failure {
  return { ok: false, kind: "unavailable", code: 0, detail };
}

/**
 * What a subscription's callback throws the client swallows, and hears nothing ever after. Thrown again from a microtask it ends the
 * process, as a broken invariant must.
 */
export function fatal<A extends unknown[]>(callback: (...args: A) => void): (...args: A) => void {
  return (...args) => {
    try {
      callback(...args);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
}

export function messageOf(error: unknown): string {
  return error instanceof Error && error.message !== "" ? error.message : String(error);
}

function failureOf(error: unknown): Failure {
  const detail = messageOf(error);
  if (error instanceof errors.InvalidArgumentError) return { ok: false, kind: "refused", code: 0, detail };
  const unheard =
    error instanceof errors.NoRespondersError ||
    (error instanceof errors.RequestError && error.isNoResponders());
  return unheard ? { ok: false, kind: "unavailable", code: NO_RESPONDERS, detail } : unavailable(detail);
}

export class Connection {
  readonly #options: ConnectOptions;
  readonly #handlers = new Set<ConnectionHandler>();
  readonly #listeners = new Set<Listener>();
  readonly #calls = new Set<Call>();
  #client: NatsConnection | undefined;
  #connected = false;
  #closing = false;
  #version = "";
  /** The server's last complaint, which says more than the loss that follows it. */
  #complaint = "";
  /** Bytes of calls in flight, and of calls that timed out with nothing heard since: they may still sit in the socket. */
  #inFlightBytes = 0;
  #stuckBytes = 0;
  #probing = false;
  #endPause: () => void = () => undefined;
  readonly #ended: Promise<void>;

  constructor(options: ConnectOptions) {
    this.#options = options;
    this.#ended = this.#keepConnected();
  }

  connected(): boolean {
    return this.#connected;
  }

  /** The client, while connected. Only the readers use it, for subscriptions of their own. */
  client(): NatsConnection | undefined {
    return this.#connected && this.#client?.isClosed() === false ? this.#client : undefined;
  }

  describe(): string {
    return this.#version === "" ? "nats-server (never reached)" : `nats-server ${this.#version}`;
  }

  /** Calls `handler` at each loss and return until the returned function is called. */
  onChange(handler: ConnectionHandler): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** Sends without an answer; false if it cannot be sent now. */
  publish(subject: string, payload: Payload): boolean {
    const client = this.client();
    if (client === undefined) return false;
    client.publish(subject, payload);
    return true;
  }

  /** Subscribes now and after every reconnect, until the returned function is called. */
  listen(subject: string, handler: (payload: Uint8Array) => void): () => void {
    const listener: Listener = { subject, handler, subscription: undefined };
    this.#listeners.add(listener);
    if (this.#client?.isClosed() === false) this.#subscribe(this.#client, listener);
    return () => {
      this.#listeners.delete(listener);
      listener.subscription?.unsubscribe();
    };
  }

  /** Sends at once, in the order of the calls, and waits at most `LIMITS.appendTimeoutMs` for the answer. */
  request(subject: string, payload: Uint8Array, headers?: MsgHdrs): Promise<Answer<Msg>> {
    const client = this.client();
    if (client === undefined) return Promise.resolve(unavailable(this.#complaint || "not connected"));
    const bytes = payload.length;
    if (this.#inFlightBytes + this.#stuckBytes + bytes > LIMITS.appendQueueBytesMax)
      return Promise.resolve(unavailable("too many bytes wait for an answer"));
    return new Promise((resolve) => {
      const call: Call = { bytes, settle: resolve };
      this.#calls.add(call);
      this.#inFlightBytes += bytes;
      const heardBefore = client.stats().inMsgs;
      const timing = { timeout: LIMITS.appendTimeoutMs };
      client.request(subject, payload, headers === undefined ? timing : { ...timing, headers }).then(
        (value) => {
          this.#stuckBytes = 0;
          return this.#settle(call, { ok: true, value });
        },
        (error: unknown) => {
          this.#settle(call, failureOf(error));
          if (error instanceof Error && error.name === "TimeoutError")
            this.#timedOut(client, heardBefore, bytes);
        },
      );
    });
  }

  /** A request to the JetStream API: `api<StreamInfo>("STREAM.INFO.LOG_cn", {})`. The shape of the answer is the server's word. */
  async api<T>(operation: string, body: object): Promise<Answer<T>> {
    const answer = await this.request(`$JS.API.${operation}`, Buffer.from(JSON.stringify(body)));
    return answer.ok ? parseJetStreamAnswer<T>(answer.value) : answer;
  }

  /** Flushes, closes and fails whatever is in flight. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#endPause();
    const client = this.#client;
    if (client !== undefined && !client.isClosed()) {
      if (this.#connected) await answersPing(client, FLUSH_ON_CLOSE_MS);
      await client.close();
    }
    await this.#ended;
  }

  async #keepConnected(): Promise<void> {
    while (!this.#closing) {
      const client = await this.#connectOnce();
      if (client === undefined) await this.#pause(RETRY_MS + Math.random() * RETRY_JITTER_MS);
      else await this.#useUntilClosed(client);
    }
  }

  async #connectOnce(): Promise<NatsConnection | undefined> {
    try {
      return await connect(this.#clientOptions());
    } catch (error) {
      this.#complaint = `cannot connect to ${this.#options.servers}: ${messageOf(error)}`;
      return undefined;
    }
  }

  async #useUntilClosed(client: NatsConnection): Promise<void> {
    if (this.#closing) return client.close();
    this.#client = client;
    for (const listener of this.#listeners) this.#subscribe(client, listener);
    const watching = this.#watch(client.status());
    this.#up("connected");
    const why = await client.closed();
    await watching;
    this.#client = undefined;
    this.#down(why === undefined ? "connection closed" : messageOf(why));
  }

  async #watch(statuses: AsyncIterable<Status>): Promise<void> {
    for await (const status of statuses) {
      if (status.type === "disconnect") this.#down(`lost the connection to ${status.server}`);
      else if (status.type === "reconnect") this.#up("connected again");
      else if (status.type === "error") this.#complaint = status.error.message;
    }
  }

  #up(detail: string): void {
    if (this.#connected || this.#client?.isClosed() !== false) return;
    this.#version = this.#client.info?.version ?? this.#version;
    this.#stuckBytes = 0;
    this.#complaint = "";
    this.#connected = true;
    for (const handler of this.#handlers) handler(true, detail);
  }

  #down(detail: string): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#stuckBytes = 0;
    const reason = this.#complaint === "" ? detail : `${detail}: ${this.#complaint}`;
    for (const call of this.#calls) this.#settle(call, unavailable(reason));
    if (this.#closing) return;
    for (const handler of this.#handlers) handler(false, reason);
  }

  #settle(call: Call, answer: Answer<Msg>): void {
    if (!this.#calls.delete(call)) return;
    this.#inFlightBytes -= call.bytes;
    call.settle(answer);
  }

  /**
   * A link can swallow bytes for minutes before TCP says so. When a request timed out and nothing at all was heard meanwhile, one
   * ping decides: without its answer the connection is replaced, so that the link serves again right after it heals.
   */
  #timedOut(client: NatsConnection, heardBefore: number, bytes: number): void {
    if (client.stats().inMsgs !== heardBefore || !this.#connected) return;
    this.#stuckBytes += bytes;
    if (this.#probing) return;
    this.#probing = true;
    void answersPing(client, PROBE_MS).then((answered) => {
      this.#probing = false;
      const heard = answered || client.stats().inMsgs !== heardBefore;
      return heard || client.isClosed() ? undefined : client.reconnect();
    });
  }

  #subscribe(client: NatsConnection, listener: Listener): void {
    listener.subscription = client.subscribe(listener.subject, {
      callback: fatal((error: Error | null, message: Msg) => {
        if (error !== null) this.#complaint = error.message;
        else if (this.#listeners.has(listener)) listener.handler(message.data);
      }),
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #clientOptions(): NodeConnectionOptions {
    const { servers, name, nkeySeed, tls } = this.#options;
    return {
      servers: servers.split(",").map((server) => server.trim()),
      name,
      timeout: HANDSHAKE_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: RETRY_MS,
      reconnectJitter: RETRY_JITTER_MS,
      reconnectJitterTLS: RETRY_JITTER_MS,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: PINGS_UNANSWERED_MAX,
      ignoreAuthErrorAbort: true,
      noAsyncTraces: true,
      ...(nkeySeed === undefined
        ? {}
        : { authenticator: nkeyAuthenticator(new TextEncoder().encode(nkeySeed)) }),
      ...(tls === undefined ? {} : { tls: { ...tls } }),
    };
  }
}

/** The value in an answer of JetStream, or its error. Out of space counts as refused, a JetStream not ready as unavailable. */
export function parseJetStreamAnswer<T>(message: Msg): Answer<T> {
  let body: T & { error?: { code: number; err_code?: number; description?: string } };
  try {
    body = message.json();
  } catch (error) {
    return { ok: false, kind: "refused", code: 0, detail: `not a JetStream answer: ${messageOf(error)}` };
  }
  if (body.error === undefined) return { ok: true, value: body };
  const { code, err_code = 0, description = "refused" } = body.error;
  const kind = code === 503 && err_code !== STREAM_STORE_FAILED ? "unavailable" : "refused";
  return { ok: false, kind, code: err_code, detail: `${description} (${err_code})` };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** True if the server answers a ping within `withinMs`. */
function answersPing(client: NatsConnection, withinMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), withinMs);
    const answer = (value: boolean) => () => {
      clearTimeout(timer);
      resolve(value);
    };
    client.flush().then(answer(true), answer(false));
  });
}
