import { existsSync } from "node:fs";
import { open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { connect } from "../helpers/http-client.ts";
import { eventually, openFiles, openSockets, tmpDir } from "../helpers/process.ts";
import { startUpstream } from "../helpers/scripted-upstream.ts";

describe("what this process holds open", () => {
  it.skipIf(openFiles() === undefined)("names an open file until it is closed", async () => {
    const dir = await tmpDir();
    const path = join(dir.path, "file");
    await writeFile(path, "x");
    const file = await open(path);
    expect(openFiles()).toContain(path);
    await file.close();
    expect(openFiles()).not.toContain(path);
    await dir.remove();
    expect(existsSync(dir.path)).toBe(false);
  });

  it("counts both ends of a connection", async () => {
    const up = await startUpstream();
    const before = openSockets();
    const connection = await connect(up);
    await eventually(() => expect(openSockets()).toBe(before + 2));
    connection.destroy();
    await eventually(() => expect(openSockets()).toBe(before));
    await up.close();
  });
});

describe("eventually", () => {
  it("gives the value of the first try that holds", async () => {
    let tries = 0;
    const value = await eventually(() => {
      if (++tries < 3) throw new Error("not yet");
      return tries;
    });
    expect(value).toBe(3);
  });

  it("throws the last error when time is up", async () => {
    let tries = 0;
    const failing = eventually(() => Promise.reject(new Error(`try ${++tries}`)), { timeoutMs: 30 });
    await expect(failing).rejects.toThrow(/^try \d+$/);
    expect(tries).toBeGreaterThan(1);
  });
});

describe("assertBytes", () => {
  it("says where bytes differ", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    assertBytes(Buffer.from(bytes), bytes);
    expect(() => assertBytes(Uint8Array.of(1, 9, 3), bytes)).toThrow("byte 1 differs");
    expect(() => assertBytes(Uint8Array.of(1, 2), bytes)).toThrow("equal up to byte 2 (2 bytes, expected 3)");
  });
});
