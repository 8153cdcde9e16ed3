/**
 * A disk of a few megabytes that can be filled: a tmpfs in a mount namespace of its own, held by a process that ends with this one.
 * Rule: nobody else sees the mount, and it vanishes with the last process in its namespace, so nothing is left to unmount or to remove.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Disk } from "./stage.ts";

/** Covered by the mount, for those in the namespace; the standard's place for a temporary mount (FHS 3.0, section 3.12). */
const FOLDER = "/mnt";
/** As root; else as root of a user namespace, where the system grants that. */
const WAYS = [
  { unshare: ["--mount"], nsenter: ["--mount"] },
  {
    unshare: ["--user", "--map-root-user", "--mount"],
    nsenter: ["--user", "--preserve-credentials", "--mount"],
  },
];

export class SmallDisk implements Disk {
  readonly folder = FOLDER;
  readonly prefix: readonly string[];
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess, nsenter: readonly string[]) {
    this.#holder = holder;
    this.prefix = ["nsenter", ...nsenter, "--target", String(holder.pid), "--"];
  }

  /** Rejects where the system permits no mount. */
  static async make(megabytes: number): Promise<SmallDisk> {
    const complaints: string[] = [];
    for (const { unshare, nsenter } of WAYS) {
      const script = `mount -t tmpfs -o size=${megabytes}m tmpfs "$1" && echo mounted && exec cat`;
      const holder = spawn("unshare", [...unshare, "sh", "-c", script, "sh", FOLDER], { stdio: "pipe" });
      holder.stderr.on("data", (data: Buffer) => complaints.push(data.toString().trim()));
      holder.on("error", (error) => complaints.push(error.message));
      const mounted = once(holder.stdout, "data").then(() => true);
      const gone = once(holder, "close").then(() => false);
      if (await Promise.race([mounted, gone])) return new SmallDisk(holder, nsenter);
    }
    throw new Error(`no small disk can be mounted here: ${complaints.join("; ")}`);
  }

  /** To the last byte. */
  fill(): void {
    const ended = this.#run(["dd", "if=/dev/zero", `of=${join(this.folder, "ballast")}`, "bs=4k"]);
    if (!ended.includes("No space left")) throw new Error(`the small disk did not fill: ${ended}`);
  }

  /** Gives back what {@link fill} took. */
  free(): void {
    this.#run(["rm", join(this.folder, "ballast")]);
  }

  /** What is on it is gone once nobody uses it. */
  async end(): Promise<void> {
    if (this.#holder.exitCode !== null || this.#holder.signalCode !== null) return;
    const closed = once(this.#holder, "close");
    this.#holder.kill("SIGKILL");
    await closed;
  }

  /** Its complaints. */
  #run(command: readonly string[]): string {
    const [program = "", ...args] = [...this.prefix, ...command];
    return spawnSync(program, args, {
      encoding: "utf8",
      env: { LC_ALL: "C", PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    }).stderr;
  }
}
