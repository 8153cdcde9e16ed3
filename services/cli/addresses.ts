/** Where each region serves HTTP: from a file as the demo writes it, or from a list. Rule: what cannot be read is said, with where it stood. */
import { readFileSync } from "node:fs";

import { Type } from "typebox";
import { Compile } from "typebox/compile";

import type { Region } from "../../replicator/core/commands.ts";

export type Addresses = ReadonlyMap<Region, string>;

/** The region was named, and nobody has said where it is: the call is wrong, not the deployment. */
export class UnknownAddress extends Error {}

const isFile = Compile(
  Type.Object({ regions: Type.Record(Type.String(), Type.Object({ http: Type.String() })) }),
);

/** Throws with the reason. */
export function addressesIn(file: string): Addresses {
  const content: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (!isFile.Check(content)) throw new Error(`${file} has no addresses as the demo writes them`);
  return new Map(Object.entries(content.regions).map(([region, { http }]) => [region, http]));
}

/** `cn=http://…,us=http://…`. Throws with the part that is none. */
export function parseAddresses(text: string): Addresses {
  const parts = text.split(",").filter((part) => part !== "");
  return new Map(
    parts.map((part) => {
      const [, region, url] = /^([a-z][a-z0-9-]{0,15})=(https?:\/\/.+)$/.exec(part) ?? [];
      if (region === undefined || url === undefined)
        throw new Error(`ROLLCALL_REGIONS: "${part}" should be REGION=http://ADDRESS`);
      return [region, url];
    }),
  );
}

/** Throws {@link UnknownAddress} with the regions there are. */
export function addressOf(known: Addresses, region: Region): string {
  const url = known.get(region);
  if (url !== undefined) return url;
  throw new UnknownAddress(`there is no address of ${region}; there are: ${[...known.keys()].join(", ")}`);
}
