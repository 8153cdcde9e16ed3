/** When the sessions of a lost region end. */
import { expect, it } from "vitest";
import { Expiring } from "../../replicator/core/expiring.ts";
import { close } from "./samples.ts";
import { Given } from "./succeeded.ts";

it("sessions live for the TTL that it was made with, from when it is asked first", () => {
  const { replica } = new Given();
  const expiring = new Expiring("cn", 1_000, () => replica);
  const at = (monoMs: number) => expiring.due({ monoMs, wallMs: 0 });
  expect([at(500), at(1_499)]).toEqual([[], []]);
  expect(at(1_500)).toEqual([close("ann", "s1", "expired"), close("bob", "s2", "expired")]);
});
