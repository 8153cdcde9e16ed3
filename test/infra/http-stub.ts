/** A region that answers what a test says, over real HTTP. */
import { createServer, type Server } from "node:http";
import { RegionApi } from "../../infra/demo/api.ts";
import { HttpClient } from "../../infra/demo/http.ts";

export type Answers = (method: string, path: string, body: unknown) => { status: number; body: unknown };

export class StubRegion {
  readonly http = new HttpClient({ timeoutMs: 2_000, socketsMax: 8 });
  private readonly server: Server;
  private port = 0;

  constructor(answers: Answers) {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        const answer = answers(
          request.method ?? "",
          request.url ?? "",
          text === "" ? undefined : JSON.parse(text),
        );
        response.writeHead(answer.status, { "content-type": "application/json" });
        response.end(JSON.stringify(answer.body));
      });
    });
  }

  async start(): Promise<RegionApi> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    const address = this.server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    this.port = address.port;
    return new RegionApi(`http://127.0.0.1:${this.port}`, this.http);
  }

  async stop(): Promise<void> {
    this.http.close();
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}
