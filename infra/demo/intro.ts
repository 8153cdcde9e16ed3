/** What the demo prints when everything runs: what it is, where it is, and commands that work as printed. */
import { LINKS, REGIONS } from "./topology.ts";
import type { World } from "./world.ts";

export const KEYS =
  "1 2 3 cut/heal cn-us us-eu cn-eu · k n r kill/start node, nats-server, replicator of us · q quit";

/** What the demo is made of, in two sentences. */
export function setting(embedded: boolean): string {
  const trips = LINKS.map(({ name, rttMs }) => `${name} ${rttMs} ms`).join(", ");
  const made = embedded
    ? "all in one process on in-memory logs (nothing outlives it)"
    : "each a nats-server, a presence node and a replicator";
  return `Three regions on this machine, ${made}. Simulated round trips: ${trips}.`;
}

export function introduction(world: World, controlUrl: string, embedded: boolean): string {
  const http = (region: "cn" | "us" | "eu"): string => world.region(region).addresses.http;
  const rows = REGIONS.map((region) => {
    const addresses = world.region(region).addresses;
    return `  ${region}   ${addresses.http.padEnd(24)} ${(addresses.nats ?? "in memory").padEnd(24)} ${addresses.http}/docs`;
  });
  const logs = world.region("cn").logFolder;
  return `
Rollcall: who is online, in every datacentre, and how sure we are.
${setting(embedded)}

  region HTTP                   NATS                     API docs
${rows.join("\n")}
  control ${controlUrl}${logs === undefined ? "" : `\n  logs    ${logs}`}

Log in at cn, ask us, and look at replication from eu:
  curl -s -X POST ${http("cn")}/v1/sessions -H 'content-type: application/json' -d '{"user":"alice"}'
  curl -s ${http("us")}/v1/users/alice/presence
  curl -s ${http("eu")}/v1/replication
Cut cn-us (log in on both sides meanwhile), and heal:
  curl -s -X PUT ${controlUrl}/links/cn-us -H 'content-type: application/json' -d '{"cut":true}'
  curl -s -X PUT ${controlUrl}/links/cn-us -H 'content-type: application/json' -d '{"cut":false}'
${embedded ? "" : killCommands(controlUrl)}Or be told what it does, in calls and answers, without this running:
  npm run demo -- --story friend      (or kick, or evacuate)
`;
}

function killCommands(controlUrl: string): string {
  const act = (action: string): string =>
    `  curl -s -X POST ${controlUrl}/processes/us/nats -H 'content-type: application/json' -d '{"action":"${action}"}'`;
  return `Kill the nats-server of us, and start it again:\n${act("kill")}\n${act("start")}\n`;
}
