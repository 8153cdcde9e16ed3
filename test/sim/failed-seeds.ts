/** Seeds that once failed, each with what it found: run again with every simulation. */
import { DOINGS } from "./settings.ts";
import type { Scenario } from "./settings.ts";

export interface FailedSeed extends Scenario {
  readonly found: string;
}

/** Those without doings are of before there were any: with them they would drive other worlds. */
export const FAILED_SEEDS: readonly FailedSeed[] = [
  {
    seed: 5017,
    events: 5_000,
    also: ["memory-flip"],
    without: DOINGS,
    found:
      "a replica made anew while a copy was empty had nothing of that log, and took the place of one that had",
  },
  {
    seed: 245_409_912,
    events: 5_000,
    without: DOINGS,
    found: "an update that says what came back with the opening before it was left out by its target",
  },
  {
    seed: 245_410_447,
    events: 5_000,
    without: DOINGS,
    found: "a move was acknowledged whose release stood behind a drop to another region, and changed nothing",
  },
  {
    seed: 245_409_308,
    events: 5_000,
    without: DOINGS,
    found:
      "a node that had not folded how a peer's log was begun again truncated its copy by positions of the log before",
  },
  {
    seed: 245_410_125,
    events: 5_000,
    without: DOINGS,
    found:
      "after a restart a session that a login elsewhere replaced for now had no lease, was refused, and got one later",
  },
  {
    seed: 247_224_153,
    events: 5_000,
    without: DOINGS,
    found:
      "an append to a copy that was made anew since got into the new one, its fence being right by chance",
  },
  {
    seed: 248_436_987,
    events: 5_000,
    without: DOINGS,
    found:
      "a close was left out by its target, as one of its own log followed, of a node that had not folded it",
  },
  {
    seed: 248_438_450,
    events: 5_000,
    without: DOINGS,
    found:
      "a node that started while a copy was empty took that log from a snapshot that had nothing of it: its own sessions were unknown",
  },
  {
    seed: 250_362_912,
    events: 5_000,
    without: DOINGS,
    found:
      "a user whose release was stored just before the verdict was taken for lost: the claim was on its way",
  },
  {
    seed: 250_362_901,
    events: 5_000,
    without: DOINGS,
    found:
      "an append to a copy that was emptied since got into it where it now began elsewhere, its fence being right by chance",
  },
  {
    seed: 250_622_618,
    events: 5_000,
    without: DOINGS,
    found:
      "a forced close left out the opening before it on the way to the home, and the region of the session never heard that it is over",
  },
  {
    seed: 250_622_105,
    events: 5_000,
    without: DOINGS,
    found:
      "a change was overtaken by the next of its session, which was sent another way before the first was folded",
  },
  {
    seed: 251_466_304,
    events: 5_000,
    without: DOINGS,
    found:
      "the snapshot that a copy began behind was damaged before any node had loaded it, and nobody brought another",
  },
  {
    seed: 251_422_949,
    events: 5_000,
    without: DOINGS,
    found:
      "a copy began behind the one snapshot that led to it, which had been torn, and nobody brought another",
  },
  {
    seed: 252_125_146,
    events: 5_000,
    without: DOINGS,
    found: "a node stayed behind a copy to whose beginning no snapshot led, and nobody brought one",
  },
  {
    seed: 255_562_286,
    events: 5_000,
    without: DOINGS,
    found:
      "a record made late, below the epoch of a user that others had moved, was hidden by a replica that lagged behind the record's own log",
  },
  {
    seed: 257_358_199,
    events: 5_000,
    without: DOINGS,
    found:
      "a forced close went to a log that the session was not in: its region ended it, and the log that had it was not told",
  },
  {
    seed: 257_358_550,
    events: 5_000,
    without: DOINGS,
    found:
      "all snapshots that led to an overrun log were torn, and both nodes crashed that had folded it: the simulation had left nobody a way on",
  },
  {
    seed: 465,
    events: 5_000,
    without: DOINGS,
    found:
      "an opening that a log sent to a region after that had given it the user was taken for recorded by who lagged behind that region",
  },
  {
    seed: 267_326_522,
    events: 5_000,
    found:
      "an empty log that went on as another one was taken for the latest by who had heard nothing of either",
  },
  {
    seed: 267_943_479,
    events: 4_806,
    without: ["returns", "clock-skew"],
    found:
      "a record made late was hidden by who lagged behind another log, though only by what the record's own log had accepted of it",
  },
  {
    seed: 267_943_433,
    events: 3_247,
    without: ["returns", "clock-skew", "clock-drift", "snapshot-torn"],
    found:
      "a record made late, below the epoch of a user that others had moved, was hidden by a replica that lagged behind the giver after the giving",
  },
  {
    seed: 275_792_157,
    events: 5_000,
    found:
      "a user without a session, who lived there already as the asked node had folded it, was taken by the simulation for moved there: a double claim took them elsewhere",
  },
  {
    seed: 275_792_486,
    events: 5_000,
    found:
      "a read for the latest asked another region for one log alone, where two others had been begun again and one of these was empty, and took its answer for the latest",
  },
  {
    seed: 276_472_290,
    events: 5_000,
    also: ["region-lost"],
    found: "a lost region's own node, asked for the latest by another, answered with the lost end of its log",
  },
  {
    seed: 276_472_310,
    events: 5_000,
    also: ["region-lost"],
    found:
      "a bounded read was satisfied of a region that had not gone over to its heir's log, by what it said itself",
  },
  {
    seed: 290_000_102,
    events: 5_000,
    also: ["region-lost"],
    found:
      "a region told a user as offline, live, who was connected to it: who stood for it had given the numbers of its lost forwards to others",
  },
  {
    seed: 290_000_122,
    events: 5_000,
    also: ["region-lost"],
    found: "the simulation gave a node a second life beside the first, which its clients did not beat",
  },
  {
    seed: 289_794_571,
    events: 5_000,
    found:
      "a session of a record made late was left out by who had heard of the claim and not of the giving, and nothing said so",
  },
  {
    seed: 294_557_292,
    events: 2_592,
    without: ["returns", "clock-skew", "duty-node-crash", "copy-recreated"],
    found:
      "a region's own node left out who was connected to it, as it had heard of the claim and not of the giving",
  },
  {
    seed: 300_552_292,
    events: 5_000,
    found:
      "the simulation took a double claim that a region had dropped to its heir for one of its evacuation, and the user for not back",
  },
];
