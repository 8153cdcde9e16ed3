/**
 * What must hold when all is quiet: the logs read again from their first frame by the slow model of test/core, compared with every
 * replica. Rule: forwards took effect exactly once, in order; every replica shows what the model shows.
 */
import { isDeepStrictEqual } from "node:util";
import type { Frame, Position, Region } from "../../replicator/core/commands.ts";
import { decodeFrame } from "../../replicator/wire/codec.ts";
import { claimsTo, modelView, readLog, subject } from "../core/model.ts";
import type { ModelLog } from "../core/model.ts";
import { REGIONS } from "./settings.ts";
import type { Ledger } from "./ledger.ts";
import type { NodeHost } from "./node-host.ts";
import type { World } from "./world.ts";

/** The first thing wrong, or nothing. */
export function finalFault(world: World, ledger: Ledger): string | undefined {
  const frames = new Map(REGIONS.map((region) => [region, framesOf(world, region)]));
  const whole = REGIONS.map((region) => readLog(region, [frames.get(region) ?? []]));
  for (const home of whole) {
    for (const origin of whole) {
      const fault = home === origin ? undefined : exactlyOnce(home, origin);
      if (fault !== undefined) return fault;
    }
  }
  const models = new Map<string, ModelLog>();
  const at = (region: Region, position: Position): ModelLog => {
    const key = `${region} ${position}`;
    const model = models.get(key) ?? readLog(region, [(frames.get(region) ?? []).slice(0, position)]);
    models.set(key, model);
    return model;
  };
  const compared = new Set<string>();
  for (const host of world.nodes) {
    const logs = REGIONS.map((region) => at(region, host.applied.get(region) ?? 0));
    const vector = REGIONS.map((region) => host.applied.get(region)).join();
    const fault = compared.has(vector) && !host.serves ? undefined : likeTheModel(host, logs, ledger);
    if (fault !== undefined) return fault;
    compared.add(vector);
  }
  return undefined;
}

function framesOf(world: World, region: Region): Frame[] {
  return world.server(region).log.entries.map(({ bytes }) => {
    const decoded = decodeFrame(bytes);
    if (!decoded.ok) throw new Error(`a frame of ${region} cannot be decoded: ${decoded.detail}`);
    return decoded.frame;
  });
}

/** Invariant 5: in order, each at most once, as it was sent; left out only where a newer one about the same thing followed. */
function exactlyOnce(home: ModelLog, origin: ModelLog): string | undefined {
  const sent = origin.forwards.filter(({ to }) => to === home.region);
  let done = 0;
  for (const { at, command } of home.effects.filter(({ lineage }) => lineage === origin.lineage)) {
    const where = `forward ${at} of ${origin.region} to ${home.region}`;
    if (at <= done) return `invariant 5: ${where} took effect twice, or after a later one`;
    if (!isDeepStrictEqual(command, sent[at - 1]?.command))
      return `invariant 5: ${where} is not what was sent`;
    for (const skipped of sent.slice(done, at - 1)) {
      const newer = origin.forwards.slice(origin.forwards.indexOf(skipped) + 1);
      if (!newer.some((one) => subject(one.command) === subject(skipped.command))) {
        return `invariant 5: forward ${skipped.ordinal} of ${origin.region} to ${home.region} was left out`;
      }
    }
    done = at;
  }
  return undefined;
}

/** Invariants 1 and 2: one winner, and the state of the logs as the model has it. */
function likeTheModel(host: NodeHost, logs: readonly ModelLog[], ledger: Ledger): string | undefined {
  const { replica } = host.node;
  for (const log of logs) {
    const fold = replica.fold(log.region);
    for (const [user, record] of log.records) {
      const held = fold?.table.get(user);
      const same =
        held !== undefined &&
        held.version === record.version &&
        held.movedTo === record.movedTo &&
        isDeepStrictEqual(held.sessions, record.sessions);
      if (!same)
        return `invariant 1: ${host.name} holds another record of ${user} in ${log.region} than the model`;
    }
    if (fold?.table.size !== log.records.size) return `invariant 5: ${host.name} has users the model has not`;
    if (!isDeepStrictEqual(fold.processed, log.processed))
      return `invariant 5: processed differs on ${host.name}`;
  }
  for (const user of ledger.users()) {
    if (replica.winner(user) !== claimsTo(logs, user)[0]?.region) {
      return `invariant 2: ${host.name} has another home for ${user} than the model`;
    }
    const shown = replica.view(user)?.sessions.map(({ session }) => session) ?? [];
    if (!isDeepStrictEqual(shown, modelView(logs, user)?.sessions ?? [])) {
      return `invariant 1: ${host.name} shows other sessions of ${user} than the model`;
    }
  }
  return undefined;
}
