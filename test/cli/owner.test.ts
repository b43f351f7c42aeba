import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { ownerSocketPath } from "../../src/cache/cache-dir.ts";
import type { CreateOwner } from "../../src/cli/create-owner.ts";
import { SAME_SIGNAL_MS } from "../../src/cli/stopping.ts";
import { ConfigError } from "../../src/errors.ts";
import { cacheWorld, MB } from "./cache-world.ts";
import { fakeOwner } from "./fake-owner.ts";

const { world, owner, begin, finished } = cacheWorld();

/** Becomes the owner, as a proxy in this process would. */
function becoming(about: object = {}) {
  const closed: string[] = [];
  const createOwner: CreateOwner = async ({ cacheDir }) => {
    const tracks = [{ key: "demo/x", size: MB, cachedBytes: 0 }];
    const fake = await fakeOwner(cacheDir, { tracks, about: { url: null, pid: process.pid, ...about } });
    return {
      socketPath: fake.socketPath,
      async close() {
        await fake.close();
        closed.push(cacheDir);
      },
    };
  };
  return { createOwner, closed };
}

describe("a command where nobody owns the cache directory", () => {
  it("owns it until it is done", async () => {
    const { createOwner, closed } = becoming();
    const { code, stdout, owned } = await finished(["prefetch", "x", "--cache-size", "1G"], { createOwner });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "cached x, 1 MiB\n" });
    expect(closed).toEqual([world.cacheDir]);
    expect(owned).toMatchObject([
      { cacheDir: world.cacheDir, cacheSize: 1024 * MB, sources: ["demo"], background: true, allowPrivate: false },
    ]);
    expect(owned[0]).not.toHaveProperty("port");
  });

  it("evicts nothing for a budget that it was not given", async () => {
    const { createOwner } = becoming();
    const env = { AFTERBAY_CACHE_SIZE: "1M" };
    const { owned, stdout } = await finished(["cache", "ls"], { createOwner, env });
    expect(owned).toMatchObject([{ cacheSize: Number.MAX_SAFE_INTEGER, background: false }]);
    expect(stdout).not.toContain(" of ");
  });

  it("waits for what it pins, even with --no-wait", async () => {
    const { createOwner } = becoming();
    expect((await finished(["cache", "pin", "x", "--no-wait"], { createOwner })).stdout).toBe("pinned x, 1 MiB\n");
  });

  it("says in one line why it cannot own it", async () => {
    const createOwner = () => Promise.reject(new ConfigError("Cannot write to the cache directory /x (EACCES)"));
    expect(await finished(["cache", "ls"], { createOwner })).toMatchObject({
      code: 1,
      stdout: "",
      stderr: "afterbay: Cannot write to the cache directory /x (EACCES)\n",
    });
  });

  it("with the sources of the config file, where the one that is named is one of them", async () => {
    const { createOwner } = becoming({ sources: ["a", "music"], defaultSource: "a" });
    const file = join(world.directory, "config.json");
    writeFileSync(file, JSON.stringify({ source: ["a=folder:/x", "music=youtube"] }));
    const named = ["search", "x", "--config", file, "--source"];
    expect((await finished([...named, "music"], { createOwner })).owned[0]?.sources).toEqual([
      "a=folder:/x",
      "music=youtube",
    ]);
    expect((await finished([...named, "demo"], { createOwner })).owned[0]?.sources).toEqual(["demo"]);
  });

  it("asks the owner that was faster", async () => {
    const createOwner: CreateOwner = async () => {
      await owner();
      throw new ConfigError("in use");
    };
    expect(await finished(["cache", "ls"], { createOwner })).toMatchObject({ code: 0, stderr: "" });
  });

  it("gives it back when it is ended while it opens it", async () => {
    const { createOwner, closed } = becoming();
    let opened = () => {};
    const opening = new Promise<void>((resolve) => (opened = resolve));
    const program = begin(["prefetch", "x"], {
      async createOwner(options) {
        program.signals.emit("SIGTERM");
        await opening;
        return await createOwner(options);
      },
    });
    opened();
    expect(await program.code).toBe(0);
    expect(program.stderr.text).toBe("afterbay: ended by SIGTERM before it was done.\n");
    expect(closed).toEqual([world.cacheDir]);
  });

  it("is left as it is on a second signal, which is not what npm passes on of the first", async () => {
    const { createOwner } = becoming();
    let opened = () => {};
    const opening = new Promise<void>((resolve) => (opened = resolve));
    const program = begin(["prefetch", "x"], {
      async createOwner(options) {
        program.signals.emit("SIGINT");
        program.signals.emit("SIGINT");
        await opening;
        return await createOwner(options);
      },
    });
    await delay(SAME_SIGNAL_MS + 100);
    expect(program.exits).toEqual([]);
    program.signals.emit("SIGINT");
    expect(program.exits).toEqual([1]);
    opened();
    await program.code;
  });
});

describe("the socket of an owner", () => {
  it("may be a dead one's", async () => {
    const dead = await owner();
    await dead.close();
    const { createOwner } = becoming();
    expect(await finished(["cache", "ls"], { createOwner })).toMatchObject({ code: 0 });
  });

  it("may have a path that is too long to connect to", async () => {
    const short = world.cacheDir;
    await owner();
    world.cacheDir = join(world.directory, ..."0123456789".split("").map((digit) => digit.repeat(20)));
    mkdirSync(dirname(world.cacheDir), { recursive: true });
    symlinkSync(short, world.cacheDir);
    expect(ownerSocketPath(world.cacheDir).length).toBeGreaterThan(150);
    expect((await finished(["cache", "ls"])).lines.at(-1)).toBe("3 tracks, 6.5 MiB of 2 GiB");
  });

  it("may belong to a program that does not answer", async () => {
    const path = ownerSocketPath(world.cacheDir);
    mkdirSync(dirname(path), { recursive: true });
    const server = createServer((socket) => socket.destroy()).listen(path);
    const { code, stderr } = await finished(["cache", "ls"]);
    server.close();
    expect(code).toBe(1);
    expect(stderr).toBe(
      `afterbay: the process that owns ${world.cacheDir} does not answer; is it of another version?\n`,
    );
  });
});

describe("an owner that is another command", () => {
  it("may end in the middle: the next one takes over, and is told the wishes", async () => {
    let polls = 0;
    const first = await owner({
      about: { url: null },
      tracks: [{ key: "demo/x", size: MB, cachedBytes: 0, step: 1 }],
      async override({ path }, response) {
        if (path !== "/api/prefetch" || polls++ < 2) return false;
        response.destroy();
        void first.close();
        return true;
      },
    });
    const { createOwner, closed } = becoming();
    expect(await finished(["prefetch", "x"], { createOwner })).toMatchObject({ code: 0, stdout: "cached x, 1 MiB\n" });
    expect(closed).toHaveLength(1);
  });

  it("is not asked twice for what must happen once", async () => {
    await owner({
      about: { url: null },
      override({ path }, response) {
        if (path !== "/control/clear") return false;
        response.destroy();
        return true;
      },
    });
    expect(await finished(["cache", "clear"])).toMatchObject({
      code: 1,
      stderr: "afterbay: the server (process 4711) went away before it had answered.\n",
    });
  });
});
