/** The yardstick of `heartbeat`: the same route on Fastify alone, which answers without doing anything. */
import Fastify from "fastify";
import { serve } from "../support/rpc.ts";

const calls = {
  /** Returns the address. */
  listen: async (_nothing: undefined): Promise<string> => {
    const app = Fastify();
    app.put("/v1/users/:user/heartbeat", (_request, reply) => {
      reply.code(204).send();
    });
    return app.listen({ host: "127.0.0.1", port: 0 });
  },
};
export type BareFastifyCalls = typeof calls;

serve(calls);
