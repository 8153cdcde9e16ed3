/**
 * The world of the demo: three regions and the links between them, and how people write their names.
 * Rule: a link is named by its regions in the order of {@link REGIONS}, a direction as `cn→us`.
 */
import type { Cut } from "../wan.ts";

export const REGIONS = ["cn", "us", "eu"] as const;
export type DemoRegion = (typeof REGIONS)[number];

export interface DemoLink {
  readonly name: string;
  readonly a: DemoRegion;
  readonly b: DemoRegion;
  readonly rttMs: number;
}

/** Round trips as between Shanghai, Virginia and Frankfurt on an ordinary day. */
export const LINKS: readonly DemoLink[] = [
  { name: "cn-us", a: "cn", b: "us", rttMs: 180 },
  { name: "us-eu", a: "us", b: "eu", rttMs: 90 },
  { name: "cn-eu", a: "cn", b: "eu", rttMs: 240 },
];

export interface Direction {
  readonly origin: DemoRegion;
  readonly replica: DemoRegion;
}

/** All six origin → replica pairs. */
export const DIRECTIONS: readonly Direction[] = REGIONS.flatMap((origin) =>
  REGIONS.filter((replica) => replica !== origin).map((replica) => ({ origin, replica })),
);

export function directionName({ origin, replica }: Direction): `${DemoRegion}→${DemoRegion}` {
  return `${origin}→${replica}`;
}

export function peersOf(region: DemoRegion): readonly DemoRegion[] {
  return REGIONS.filter((other) => other !== region);
}

export function isRegion(text: string): text is DemoRegion {
  return REGIONS.some((region) => region === text);
}

/** The link that `text` names, in either order. */
export function parseLink(text: string): DemoLink | undefined {
  return LINKS.find(({ a, b }) => text === `${a}-${b}` || text === `${b}-${a}`);
}

export function linkBetween(one: DemoRegion, other: DemoRegion): DemoLink {
  const link = parseLink(`${one}-${other}`);
  if (link === undefined) throw new Error(`no link between ${one} and ${other}`);
  return link;
}

/** `true`, `false`, or a direction of this link written `cn→us` or `cn->us`. */
export function parseCut(link: DemoLink, value: unknown): Cut | undefined {
  if (typeof value === "boolean") return value;
  if (typeof value !== "string") return undefined;
  const text = value.replace("->", "→");
  if (text === `${link.a}→${link.b}`) return `${link.a}→${link.b}`;
  return text === `${link.b}→${link.a}` ? `${link.b}→${link.a}` : undefined;
}
