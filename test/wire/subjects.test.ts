/** Names on NATS are a contract with streams that already exist. */
import { expect, it } from "vitest";
import {
  announceSubject,
  copyStream,
  copySubject,
  HEADER_LOG,
  HEADER_POSITION,
  logStream,
  logSubject,
  RENEWALS_STREAM,
  RENEWALS_SUBJECT,
  SNAPSHOTS_BUCKET,
} from "../../replicator/wire/subjects.ts";

it("streams, subjects and headers are named as documented, the region kept as it is", () => {
  expect(logStream("eu-west-1")).toBe("LOG_eu-west-1");
  expect(logSubject("eu-west-1", "Qm3x_-9K")).toBe("rollcall.log.eu-west-1.Qm3x_-9K");
  expect(copyStream("cn")).toBe("COPY_cn");
  expect(copySubject("cn", "Qm3x_-9K")).toBe("rollcall.copy.cn.Qm3x_-9K");
  expect(announceSubject("links")).toBe("rollcall.announce.links");
  expect(RENEWALS_STREAM).toBe("ROLLCALL_RENEWALS");
  expect(RENEWALS_SUBJECT).toBe("rollcall.renewals");
  expect(SNAPSHOTS_BUCKET).toBe("rollcall_snapshots");
  expect(HEADER_POSITION).toBe("Rollcall-Position");
  expect(HEADER_LOG).toBe("Rollcall-Log");
});
