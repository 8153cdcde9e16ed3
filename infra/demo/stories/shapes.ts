/** The parts of answers that more than one story shows. Rule: what a shape does not name is not shown. */
import { Type } from "typebox";

export const consistency = Type.Object({
  mode: Type.String(),
  satisfied: Type.Boolean(),
  waitedMs: Type.Number(),
  servedBy: Type.String(),
  missing: Type.Optional(Type.Record(Type.String(), Type.Number())),
  unheard: Type.Optional(Type.Array(Type.String())),
});

/** Of the demo's control API. */
export const LINK = {
  status: 200,
  shape: Type.Object({ link: Type.String(), rttMs: Type.Number(), cut: Type.Boolean() }),
};

/** An answer without a body. */
export const NOTHING = { status: 204, shape: Type.Undefined() };
