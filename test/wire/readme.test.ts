/** The example in the format's README is what the codec does, byte for byte. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { decodeFrame, encodeFrame } from "../../replicator/wire/codec.ts";
import { decoded } from "./samples.ts";

const readme = readFileSync(new URL("../../replicator/wire/README.md", import.meta.url), "utf8");

function block(language: string): string {
  const found = new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, "ms").exec(readme)?.[1];
  if (found === undefined) throw new Error(`README.md has no ${language} block`);
  return found;
}

it("the README's annotated bytes are the encoding of the README's frame, and back", () => {
  const bytes = block("hex").replaceAll(/;.*$/gm, "").replaceAll(/\s/g, "");
  const frame = JSON.parse(block("json"));
  expect(Buffer.from(encodeFrame(frame)).toString("hex")).toBe(bytes);
  expect(decodeFrame(Buffer.from(bytes, "hex"))).toEqual(decoded(frame));
  expect(readme).toContain(`is these ${bytes.length / 2} bytes`);
});
