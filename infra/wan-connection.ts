/**
 * One TCP connection over a simulated WAN link: a socket at the near end, a socket at the far end, and everything between them -
 * handshake, bytes, half-close, reset - travelling through the link's two lanes.
 * Rule: nothing crosses except through a lane, so nothing overtakes and nothing passes a cut.
 */
import { connect, type Socket } from "node:net";
import type { Lane } from "./lane.ts";

export interface WanRoute {
  /** From the end that opens the connection to the end that accepts it. */
  readonly forth: Lane;
  readonly back: Lane;
  readonly windowBytes: number;
}

const ignore = (): void => undefined;

export class WanConnection {
  /** Called once, when neither socket is left. */
  onClosed: () => void = () => undefined;
  private readonly near: Socket;
  private readonly target: { host: string; port: number };
  private readonly route: WanRoute;
  private far: Socket | undefined;
  private ended = false;

  /** `near` must be paused. */
  constructor(near: Socket, target: { host: string; port: number }, route: WanRoute) {
    this.near = near;
    this.target = target;
    this.route = route;
  }

  /** Sends SYN, SYN-ACK and ACK through the lanes, then lets bytes flow. */
  open(): void {
    const { forth, back } = this.route;
    this.near.on("error", ignore); // "close" follows and says it to the other end
    this.near.on("close", () => this.closed("near"));
    this.near.on("readable", this.giveUpIfEnded);
    forth.send(0, () => {
      if (!this.near.destroyed) back.send(0, () => this.established());
    });
  }

  /** Ends both sockets now; what is on its way is lost. */
  destroy(): void {
    this.near.destroy();
    this.far?.destroy();
    this.finish();
  }

  /** Resets both ends now; what is on its way is lost. */
  drop(): void {
    this.near.resetAndDestroy();
    this.far?.resetAndDestroy();
    this.finish();
  }

  /** A client that closes before it is connected and has sent nothing has given up: nobody at the far end hears of it. */
  private readonly giveUpIfEnded = (): void => {
    if (this.near.readableLength === 0) this.near.destroy();
  };

  private established(): void {
    if (this.near.destroyed) return;
    this.near.off("readable", this.giveUpIfEnded);
    this.route.forth.send(0, () => this.reachTarget());
    this.pipe(this.near, this.route.forth, () => this.far);
  }

  private reachTarget(): void {
    if (this.ended) return;
    const far = connect({ ...this.target, allowHalfOpen: true, noDelay: true });
    this.far = far;
    far.on("error", ignore);
    far.on("close", () => this.closed("far"));
    this.pipe(far, this.route.back, () => this.near);
  }

  /** Carries what `source` receives to `sink()`, at most a window of it under way. */
  private pipe(source: Socket, lane: Lane, sink: () => Socket | undefined): void {
    let underWay = 0;
    source.on("data", (chunk: Buffer) => {
      underWay += chunk.length;
      if (underWay >= this.route.windowBytes) source.pause();
      const carried = lane.carried(chunk);
      lane.send(chunk.length, () => {
        const arrived = () => {
          underWay -= chunk.length;
          if (underWay < this.route.windowBytes && !source.destroyed) source.resume();
        };
        const to = sink();
        if (to === undefined || !to.writable) arrived();
        else to.write(carried, arrived);
      });
    });
    source.on("end", () => lane.send(0, () => sink()?.end()));
    source.resume();
  }

  private closed(side: "near" | "far"): void {
    const { near, far } = this;
    if (far === undefined || (near.destroyed && far.destroyed)) {
      this.finish();
      return;
    }
    const closed = side === "near" ? near : far;
    const orderly = closed.readableEnded && closed.writableFinished;
    if (!orderly) this.reset(side);
  }

  /** An abrupt end at one side reaches the other through the lane, behind the bytes sent before it. */
  private reset(side: "near" | "far"): void {
    if (side === "near") this.route.forth.send(0, () => this.far?.resetAndDestroy());
    else this.route.back.send(0, () => this.near.resetAndDestroy());
  }

  private finish(): void {
    if (this.ended) return;
    this.ended = true;
    this.onClosed();
  }
}
