import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { tmpDir, type TmpDir } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { describeWith, succeed } from "./programs.ts";
import { MEASURED } from "../helpers/measured.ts";

const SIZE = 6 * 1024 ** 2 + 321;
let rig: Rig;
let dir: TmpDir;
let count = 0;
let name: string;
let url: string;
let file: string;

beforeAll(async () => {
  dir = await tmpDir();
  rig = await startRig();
});
afterAll(async () => {
  await rig.close();
  await dir.remove();
});
beforeEach(() => {
  count += 1;
  name = `song-${count}.bin`;
  rig.up.resource(name, { size: SIZE });
  url = `http://127.0.0.1:${rig.port}/stream/${name}`;
  file = join(dir.path, name);
});

/** A download that broke off. */
const cut = (): Promise<void> => writeFile(file, rig.up.bytes(name, 0, 2_345_678));
const assertFile = async (start = 0, end = SIZE): Promise<void> =>
  assertBytes(await readFile(file), rig.up.bytes(name, start, end));

describeWith(["curl"], "curl", () => {
  test("takes a track whole", async () => {
    await succeed("curl", ["-sSf", "-o", file, url]);
    await assertFile();
  });

  test("takes a range, and headers alone", async () => {
    await succeed("curl", ["-sSf", "-r", "1000000-1999999", "-o", file, url]);
    await assertFile(1_000_000, 2_000_000);
    const head = (await succeed("curl", ["-sSfI", url])).toString();
    expect(head).toMatch(new RegExp(`^content-length: ${SIZE}\\r$`, "im"));
  });

  test("resumes a file that was cut", async () => {
    await cut();
    await succeed("curl", ["-sSf", "-C", "-", "-o", file, url]);
    await assertFile();
  });

  test("resumes a track of a rate that it limits", async () => {
    await succeed("curl", ["-sSf", "--limit-rate", "8M", "-o", file, url]);
    await assertFile();
  });
});

describeWith(["wget"], "wget", () => {
  test("takes a track whole, and resumes one that was cut", async () => {
    await succeed("wget", ["-q", "-O", file, url]);
    await assertFile();
    await cut();
    await succeed("wget", ["-q", "-c", "-O", file, url]);
    await assertFile();
  });
});

describeWith(["aria2c"], "aria2", () => {
  test(
    "takes a cold track over 8 connections; the upstream sees two at a time and hardly a byte twice",
    MEASURED,
    async () => {
      const split = ["-x8", "-s8", "-k1M", "--min-split-size=1M", "--file-allocation=none"];
      await succeed("aria2c", ["-q", "--no-conf", ...split, "-d", dir.path, "-o", name, url]);
      await assertFile();
      expect(rig.up.maxLive(name)).toBeLessThanOrEqual(2);
      // What was in flight when a range was cut counts; on a busy machine that is more.
      expect(rig.up.bytesSent(name) / SIZE).toBeLessThan(1.25);
    },
  );
});

describeWith(["rclone"], "rclone", () => {
  const quiet = ["--config", "/dev/null", "--no-check-certificate", "-q"];

  test("copies an address", async () => {
    await succeed("rclone", ["copyurl", url, file, ...quiet]);
    await assertFile();
  });

  test("copies from an http remote, over several streams", async () => {
    const remote = ["--http-url", `http://127.0.0.1:${rig.port}/stream/`];
    const streams = ["--multi-thread-streams", "4", "--multi-thread-cutoff", "1M"];
    await succeed("rclone", ["copyto", `:http:${name}`, file, ...remote, ...streams, ...quiet]);
    await assertFile();
  });
});
