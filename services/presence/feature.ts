/** What a service beside presence adds to a node: routes for certain roles behind a gate, and metrics. The app knows it as no more than this. */
import type { Role } from "./auth.ts";
import type { RequestClass } from "./gates.ts";
import type { Define } from "./metrics.ts";
import type { RouteContext, Scope } from "./routes/scope.ts";

export interface RouteGroup {
  readonly roles: readonly Role[];
  /** What the requests are shed as. */
  readonly gate: Exclude<RequestClass, "heartbeats">;
  readonly routes: (scope: Scope, context: RouteContext) => void;
}

export interface Feature {
  readonly groups: readonly RouteGroup[];
  readonly metrics: (counter: Define, gauge: Define) => void;
}
