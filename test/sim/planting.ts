/** How a bug is planted: a method of a shipped class is replaced, or a fold is given other frames than its log has, until it is taken out. */
import type { Command, Frame } from "../../replicator/core/commands.ts";
import { Fold } from "../../replicator/core/fold.ts";
import type { Bugs } from "./bugs.ts";
import type { Incident } from "./settings.ts";

export interface Plant {
  readonly name: string;
  /** Puts the bug in; the function returned takes it out. */
  readonly plant: () => () => void;
  readonly bugs?: Partial<Bugs>;
  /** Incidents without which it cannot show. */
  readonly also?: readonly Incident[];
  /** A shorter run shows it too seldom. */
  readonly eventsMin?: number;
  /** A seed that shows what few do: where the tests begin to look. */
  readonly shownBy?: number;
  /** Of homes, login policies, evacuation, tokens or friends. */
  readonly area?: true;
}

/** Replaces a method of a class until the returned function is called. */
export function replace<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  make: (original: T[K]) => T[K],
): () => void {
  const original = prototype[name];
  prototype[name] = make(original);
  return () => {
    prototype[name] = original;
  };
}

/** Several things that are taken out together. */
export function together(...restores: readonly (() => void)[]): () => void {
  return () => restores.forEach((restore) => restore());
}

/** A fold that is given other frames than the log has. */
export function refold(change: (fold: Fold, frame: Frame, position: number) => Frame): () => void {
  return replace(
    Fold.prototype,
    "apply",
    (apply) =>
      function (this: Fold, position, frame) {
        return apply.call(this, position, change(this, frame, position));
      },
  );
}

export function withCommands(frame: Frame, change: (command: Command) => Command): Frame {
  return { ...frame, commands: frame.commands.map(change) };
}
