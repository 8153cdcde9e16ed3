/**
 * What clients asked for and were told: the independent model that the replicas are checked against. Rule: it is written by the
 * clients' own experience alone (requests made, answers got, beats accepted), never by looking into a node.
 */
import type {
  LoginPolicy,
  Region,
  SessionId,
  SessionStatus,
  UserId,
} from "../../replicator/core/commands.ts";
import type { Place } from "./history.ts";
import { HEARTBEAT_MS, TTL_MS } from "./settings.ts";

/** What a client asked for when it logged in. */
export interface Login {
  readonly user: UserId;
  readonly region: Region;
  readonly device: string;
  readonly platform: string;
  readonly policy: LoginPolicy;
  readonly status: SessionStatus;
}

export interface Account extends Omit<Login, "status"> {
  readonly id: SessionId;
  readonly openRequestedMs: number;
  /** What the acknowledgement named. */
  openAcked: Place | undefined;
  closeRequestedMs: number | undefined;
  closeAcked: Place | undefined;
  /** The newest acknowledged status and where, then those asked for since: any of them may stand. */
  status: SessionStatus;
  statusAcked: Place | undefined;
  tentative: SessionStatus[];
  /** All that were ever asked for: where the newest is lost with the end of a log, any of them may stand. */
  readonly asked: Set<SessionStatus>;
  /** When a beat was accepted, in virtual time; before the first, when the login was asked for: its lease counts from then. */
  beatMs: number;
  /** An operator asked for the end of all sessions of the user that could be seen: this one may or may not have been. */
  forced: boolean;
  /** Another region stood for the session's while it was there, and may have ended it. */
  interrupted: boolean;
  /** The client was told that it is over. */
  over: boolean;
}

/** A lease can end this much earlier than its TTL after the last accepted beat: what a tick is late, and a clock is fast. */
export const LEASE_SLACK_MS = HEARTBEAT_MS;

/** The device of implicit sessions; no client that logs in has it. */
export const WEAK_DEVICE = "web";

export class Ledger {
  readonly accounts = new Map<SessionId, Account>();
  readonly #byUser = new Map<UserId, Account[]>();
  /** The acknowledged moves of each user to another home, and where they stand. */
  readonly moves = new Map<UserId, { readonly to: Region; readonly place: Place }[]>();

  opening(id: SessionId, login: Login, nowMs: number): Account {
    const { user, status } = login;
    const account: Account = {
      ...login,
      id,
      openRequestedMs: nowMs,
      openAcked: undefined,
      closeRequestedMs: undefined,
      closeAcked: undefined,
      statusAcked: undefined,
      tentative: [],
      asked: new Set([status]),
      beatMs: nowMs,
      forced: false,
      interrupted: false,
      over: false,
    };
    this.accounts.set(id, account);
    const held = this.#byUser.get(user) ?? [];
    held.push(account);
    this.#byUser.set(user, held);
    return account;
  }

  /** What stands in for the region's log begins, or ends. */
  interrupt(region: Region): void {
    for (const account of this.accounts.values()) if (account.region === region) account.interrupted = true;
  }

  moved(user: UserId, to: Region, place: Place): void {
    this.moves.set(user, [...(this.moves.get(user) ?? []), { to, place }]);
  }

  of(user: UserId): readonly Account[] {
    return this.#byUser.get(user) ?? [];
  }

  users(): IterableIterator<UserId> {
    return this.#byUser.keys();
  }

  /** Whether anything that the client knows of could have ended the session, or who stood for its region. */
  mayBeOver(account: Account, nowMs: number): boolean {
    return account.interrupted || this.mayBeEnded(account, nowMs);
  }

  /** Whether anything that the client knows of could have ended the session. */
  mayBeEnded(account: Account, nowMs: number): boolean {
    if (
      account.forced ||
      account.over ||
      account.closeRequestedMs !== undefined ||
      account.openAcked === undefined
    )
      return true;
    if (nowMs - account.beatMs >= TTL_MS - LEASE_SLACK_MS) return true;
    return this.rivals(account).length > 0;
  }

  /** Other logins that leave this one no room: each may have ended it. */
  rivals(account: Account): Account[] {
    return this.of(account.user).filter((one) => one !== account && leavesNoRoom(one, account));
  }

  /** An implicit session that may have been renewed: which of the device's it was, its client is not told. */
  mayBeRenewed({ device, beatMs }: Account, nowMs: number): boolean {
    return device === WEAK_DEVICE && nowMs - beatMs < TTL_MS;
  }

  /** Of an implicit login the client is not told which session of its device it renews: each of these may be shown in place of it. */
  standIns(account: Account, nowMs: number): Account[] {
    if (account.device !== WEAK_DEVICE) return [];
    return this.of(account.user).filter(
      (one) => one !== account && one.region === account.region && this.mayBeRenewed(one, nowMs),
    );
  }

  /** Alive for sure: acknowledged, not asked to end, not told that it ended, and beating. */
  isAlive(account: Account, nowMs: number): boolean {
    if (account.over || account.closeRequestedMs !== undefined || account.openAcked === undefined)
      return false;
    return nowMs - account.beatMs < TTL_MS - LEASE_SLACK_MS;
  }
}

/** Whether a login ends the other where that is there before it: by its device, or by its policy. */
export function leavesNoRoom(login: Account, other: Account): boolean {
  if (login.device !== "" && login.device === other.device) return true;
  if (login.policy === "per-platform") return login.platform === other.platform;
  return login.policy === "single";
}
