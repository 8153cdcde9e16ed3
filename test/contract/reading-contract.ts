/**
 * The contract of readers: order, backpressure, and what they do when the log is not what it was.
 * Rule: every position once, in order, or `broken`.
 */
import { describe, expect, it } from "vitest";
import { logStream } from "../../replicator/wire/subjects.ts";
import { createLog, fill, freshRegion, type Harness } from "./harness.ts";
import { Recorder, bytesOf, range, until } from "./recorder.ts";

function filled(value: number): Uint8Array {
  return new Uint8Array(3_000).fill(value);
}

/** A door that everybody waits at until it is opened. */
function door(): { opened: Promise<void>; open: () => void } {
  const handle = { opened: Promise.resolve(), open: (): void => undefined };
  handle.opened = new Promise((resolve) => {
    handle.open = resolve;
  });
  return handle;
}

export function readingContract(name: string, harness: () => Harness): void {
  describe(`${name}: reading`, () => {
    it("starts in the middle and goes on with what is appended meanwhile", async () => {
      const log = await createLog(await harness().store(), freshRegion());
      await fill(log, 20);
      const recorder = new Recorder(log, 11);
      await recorder.read(1);
      for (const n of range(21, 40)) await log.append(bytesOf(`e${n}`), `later-${n}`);
      await recorder.read(30);
      expect(recorder.positions).toEqual(range(11, 40));
      expect(recorder.texts).toEqual(range(11, 40).map((n) => `e${n}`));
      expect(recorder.entries.every(({ logId }) => logId === log.logId)).toBe(true);
    });

    it("beyond the end it waits for the position asked for", async () => {
      const log = await createLog(await harness().store(), freshRegion());
      await fill(log, 3);
      const recorder = new Recorder(log, 6);
      await log.append(bytesOf("e4"), "4");
      await log.append(bytesOf("e5"), "5");
      await new Recorder(log, 1).read(5);
      await log.append(bytesOf("e6"), "6");
      expect((await recorder.read(1)).positions).toEqual([6]);
    });

    it("bytes handed out stay as they were, whatever is read after them", async () => {
      const log = await createLog(await harness().store(), freshRegion());
      await Promise.all(range(1, 200).map((n) => log.append(filled(n), `m${n}`)));
      const recorder = await new Recorder(log, 1).read(200);
      for (const { position, bytes } of recorder.entries)
        expect(Buffer.compare(bytes, filled(position))).toBe(0);
    });

    it("the next entry waits for the promise of the one before", async () => {
      const log = await createLog(await harness().store(), freshRegion());
      const large = new Uint8Array(60_000);
      await Promise.all(range(1, 100).map((n) => log.append(large, `m${n}`)));
      const { opened, open } = door();
      let active = 0;
      let activeMax = 0;
      const gate = async (): Promise<void> => {
        active += 1;
        activeMax = Math.max(activeMax, active);
        await opened;
        active -= 1;
      };
      const slow = new Recorder(log, 1, gate);
      await slow.read(1);
      await new Recorder(log, 1).read(100);
      expect(slow.entries.length).toBe(1);
      open();
      await slow.read(100);
      expect(slow.positions).toEqual(range(1, 100));
      expect(activeMax).toBe(1);
    });

    it("after stop() no handler is called", async () => {
      const log = await createLog(await harness().store(), freshRegion());
      await fill(log, 5);
      const stopped = await new Recorder(log, 1).read(5);
      await stopped.reader.stop();
      await log.append(bytesOf("e6"), "6");
      await new Recorder(log, 1).read(6);
      expect(stopped.entries.length).toBe(5);
      expect(stopped.interruptions).toEqual([]);
    });

    it("a log recreated under the reader has another identity", async () => {
      const store = await harness().store();
      const region = freshRegion();
      const log = await createLog(store, region);
      await fill(log, 5);
      const recorder = await new Recorder(log, 1).read(5);
      await harness().deleteStream(logStream(region));
      await until("the reader is interrupted", () => recorder.interruptions.length > 0);
      const recreated = await createLog(store, region);
      expect(recreated.logId).not.toBe(log.logId);
      expect(await recorder.breaks()).toBe("identity-changed");
      expect(recorder.positions).toEqual(range(1, 5));
    });

    it("what was truncated is missing, and what was not is still there", async () => {
      const region = freshRegion();
      const log = await createLog(await harness().store(), region);
      await fill(log, 10);
      await harness().truncate(logStream(region), 6);
      expect(await log.extent()).toEqual({
        ok: true,
        extent: { logId: log.logId, first: 6, head: 10, bytes: expect.any(Number) },
      });
      expect(await new Recorder(log, 3).breaks()).toBe("missing");
      expect((await new Recorder(log, 6).read(5)).positions).toEqual(range(6, 10));
    });

    it("a log truncated altogether remembers its head", async () => {
      const region = freshRegion();
      const log = await createLog(await harness().store(), region);
      await fill(log, 4);
      await harness().truncate(logStream(region), 5);
      expect(await log.extent()).toEqual({
        ok: true,
        extent: { logId: log.logId, first: 5, head: 4, bytes: expect.any(Number) },
      });
      expect(await new Recorder(log, 4).breaks()).toBe("missing");
      expect(await log.append(bytesOf("e5"), "5")).toMatchObject({ ok: true, position: 5 });
      expect((await new Recorder(log, 5).read(1)).positions).toEqual([5]);
    });
  });
}
