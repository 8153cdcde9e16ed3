/**
 * What every route module gets: a Fastify scope typed by the TypeBox schemas, and what the routes call.
 */
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from "fastify";

import type { Gates } from "../gates.ts";
import type { NodeOperations } from "../operations.ts";
import type { NodeStatus, PresenceService } from "../service.ts";

export type Scope = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

export interface RouteContext {
  readonly service: PresenceService;
  readonly status: NodeStatus;
  readonly operations: NodeOperations;
  readonly gates: Gates;
  /** Wall-clock milliseconds. */
  readonly now: () => number;
}
