/**
 * Turns the API's TypeBox schemas into Fastify validators.
 * Rule: nothing is coerced, removed or defaulted. The one conversion is a query parameter that its schema calls an
 * integer, because a query string has no other way to say a number.
 */
import type { FastifySchemaCompiler } from "fastify";
import type { TSchema } from "typebox";
import { Compile, type Validator } from "typebox/compile";
import { Pointer } from "typebox/value";

import { CANARY_PREFIX } from "./schemas.ts";
import { patternInWords } from "./patterns.ts";
import { type FieldError, invalidRequest, type Refusal } from "./problems.ts";

const PARTS: Readonly<Record<string, FieldError["in"]>> = {
  body: "body",
  querystring: "query",
  params: "path",
  headers: "header",
};
/** Also below 0, so that the schema names the bound; -0 is no number that anybody means. */
const INTEGER = /^(?!-0+$)-?[0-9]{1,15}$/;

export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  const part = PARTS[httpPart ?? ""] ?? "body";
  const integers = part === "query" ? integerProperties(schema) : [];
  return (input: unknown) => {
    for (const name of integers) toInteger(input, name);
    return validator.Check(input) || { error: refusalOf(part, validator, input) };
  };
};

function refusalOf(part: FieldError["in"], validator: Validator, input: unknown): Refusal {
  // An unknown field is reported twice: by its object, and as a value that matches the schema `false`.
  const errors = validator.Errors(input).filter((error) => error.keyword !== "boolean");
  return invalidRequest(
    errors.map((error) => {
      const unknown = error.keyword === "additionalProperties" ? error.params.additionalProperties : [];
      const pointer = error.instancePath;
      if (unknown.length > 0)
        return { in: part, pointer, message: `must not have the unknown field ${unknown.join(", ")}` };
      if (error.keyword !== "pattern") return { in: part, pointer, message: error.message };
      const message = isReserved(Pointer.Get(input, pointer))
        ? `must not begin with ${CANARY_PREFIX}, which is reserved`
        : patternInWords(String(error.params.pattern));
      return { in: part, pointer, message };
    }),
  );
}

function isReserved(value: unknown): boolean {
  return typeof value === "string" && value.startsWith(CANARY_PREFIX);
}

function integerProperties(schema: TSchema): readonly string[] {
  const properties = "properties" in schema ? schema.properties : undefined;
  if (typeof properties !== "object" || properties === null) return [];
  return Object.entries(properties)
    .filter(([, property]) => isInteger(property))
    .map(([name]) => name);
}

function isInteger(property: unknown): boolean {
  return (
    typeof property === "object" && property !== null && "type" in property && property.type === "integer"
  );
}

function toInteger(input: unknown, name: string): void {
  if (typeof input !== "object" || input === null) return;
  const text: unknown = Reflect.get(input, name);
  if (typeof text === "string" && INTEGER.test(text)) Reflect.set(input, name, Number(text));
}
