/** What the tools in infra/ take from the environment. Rule: nothing else in infra/ reads it. */

export interface InfraEnv {
  /** `NATS_SERVER_BIN`: the nats-server to run, instead of the one on the path. */
  readonly natsServerBin: string | undefined;
  readonly path: string;
  /** Everything, for processes that are started. */
  readonly all: Readonly<Record<string, string | undefined>>;
}

export function readInfraEnv(): InfraEnv {
  const { NATS_SERVER_BIN: bin, PATH: path } = process.env;
  return { natsServerBin: bin === "" ? undefined : bin, path: path ?? "", all: { ...process.env } };
}
