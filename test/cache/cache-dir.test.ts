import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CacheDir, claimCacheDir, type ClaimOptions } from "../../src/cache/cache-dir.ts";
import { ConfigError } from "../../src/errors.ts";
import { eventually, openFiles, tmpDir, type TmpDir } from "../helpers/process.ts";

const module = fileURLToPath(new URL("../../dist/cache/cache-dir.js", import.meta.url));

let dir: TmpDir;
let path: string;
let held: CacheDir[];
let children: ChildProcess[];
beforeEach(async () => {
  dir = await tmpDir();
  path = join(dir.path, "cache");
  held = [];
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(held.map((one) => one.release()));
  await dir.remove();
});

const claim = async (where = path, options: ClaimOptions = {}): Promise<CacheDir> => {
  const claimed = await claimCacheDir(where, options);
  held.push(claimed);
  return claimed;
};
const refusal = async (where = path): Promise<string> => {
  const error: unknown = await claimCacheDir(where).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  const { message } = error as ConfigError;
  expect(message).not.toContain("\n");
  return message;
};
/** A process that claims `path`, says whether it could, and keeps it until it is killed. */
const contender = () => {
  const script = `
    import { claimCacheDir } from ${JSON.stringify(`file://${module}`)};
    await claimCacheDir(process.argv[1]).then(() => console.log("won"), (error) => console.log(error.message));
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const said = once(child.stdout, "data").then(([line]) => String(line).trim());
  const kill = async (): Promise<void> => {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  return { said, kill };
};

it("makes the directory, and gives it back without a trace", async () => {
  const { root, release } = await claim();
  expect(root).toBe(join(path, "v1"));
  expect(await readdir(join(root, "tracks"))).toEqual([]);
  await release();
  expect(await readdir(root)).toEqual(["tracks"]);
  expect((openFiles() ?? []).filter((name) => name.startsWith(path))).toEqual([]);
  await claim();
});

it("refuses a second owner, by whatever name it calls the directory", async () => {
  await claim();
  expect(await refusal()).toBe(`The cache directory ${path} is in use by another Afterbay`);
  const alias = join(dir.path, "alias");
  await symlink(path, alias);
  expect(await refusal(alias)).toMatch(/is in use by another Afterbay$/);
  expect(await refusal(`${path}/../cache/`)).toMatch(/is in use by another Afterbay$/);
});

it("of many that start at once, one wins, whatever is left of a dead owner", async () => {
  for (let round = 0; round < 10; round += 1) {
    await mkdir(join(path, "v1"), { recursive: true });
    await leaveSocket(join(path, "v1", "owner.sock"));
    await leaveSocket(join(path, "v1", "claim-000000000000.sock"));
    const results = await Promise.allSettled(Array.from({ length: 2 + (round % 4) }, () => claimCacheDir(path)));
    const winners = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    expect(winners).toHaveLength(1);
    for (const result of results) if (result.status === "rejected") expect(String(result.reason)).toMatch(/is in use/);
    await refusal();
    await winners[0]?.release();
    expect(await readdir(join(path, "v1"))).toEqual(["tracks"]);
  }
});

it("processes: the second is refused; of two that start at once on a dead one's directory, one wins", async () => {
  const first = contender();
  expect(await first.said).toBe("won");
  expect(await refusal()).toMatch(/is in use/);
  await first.kill();
  const rivals = [contender(), contender(), contender()];
  const said = await Promise.all(rivals.map((one) => one.said));
  expect(said.filter((line) => line === "won")).toHaveLength(1);
  await Promise.all(rivals.map((one) => one.kill()));
  await claim();
});

it("leaves alone what it does not know, and takes no file for an owner", async () => {
  await mkdir(join(path, "v1"), { recursive: true });
  await writeFile(join(path, "v1", "owner.sock"), "not a socket");
  await writeFile(join(path, "v1", "notes.txt"), "mine");
  await writeFile(join(path, "README"), "mine");
  const { release } = await claim();
  await release();
  expect(await readdir(join(path, "v1"))).toEqual(["notes.txt", "tracks"]);
  expect((await readdir(path)).toSorted()).toEqual(["README", "v1"]);
});

it("refuses what a newer version wrote, and adds nothing to it", async () => {
  await mkdir(join(path, "v2"), { recursive: true });
  await mkdir(join(path, "v0"));
  await mkdir(join(path, "v10-notes"));
  expect(await refusal()).toBe(`The cache directory ${path} was written by a newer version of Afterbay (v2)`);
  expect((await readdir(path)).toSorted()).toEqual(["v0", "v10-notes", "v2"]);
});

it("refuses a file in its place, and a place below a file", async () => {
  await writeFile(path, "a file");
  expect(await refusal()).toMatch(/^Cannot write to the cache directory .* \(E\w+\)$/);
  expect(await refusal(join(path, "below"))).toMatch(/^Cannot write to the cache directory .* \(ENOTDIR\)$/);
});

it.skipIf(process.getuid?.() === 0)("refuses a directory that may not be written", async () => {
  await mkdir(path);
  await chmod(path, 0o500);
  expect(await refusal()).toBe(`Cannot write to the cache directory ${path} (EACCES)`);
});

describe("a path too long for a socket", () => {
  const long = (end: string): string => join(path, "x".repeat(80), "y".repeat(80), end);

  it("has one owner as well, and is not taken for another one", async () => {
    const { root, release } = await claim(long("a"));
    await claim(long("b"));
    expect(await refusal(long("a"))).toMatch(/is in use/);
    await release();
    expect(await readdir(root)).toEqual(["tracks"]);
    await claim(long("a"));
  });
});

it("a directory deleted meanwhile and claimed by another is left to that one", async () => {
  const { release } = await claim();
  await rm(path, { recursive: true });
  await claim();
  await release();
  expect(await refusal()).toMatch(/is in use/);
});

it("a directory deleted under its owner is claimed by it again, and is given back without a trace", async () => {
  const { root, release } = await claim(path, { checkMs: 5 });
  for (let round = 0; round < 3; round += 1) {
    // Its owner may make it anew in the middle of this.
    await rm(path, { recursive: true, maxRetries: 5, retryDelay: 5 });
    await eventually(async () => expect(await readdir(root)).toContain("owner.sock"));
    expect(await refusal()).toMatch(/is in use/);
  }
  await release();
  expect(await readdir(root)).toEqual(["tracks"]);
});

it("an owner whose directory was deleted and is another's now is told so, until that one has gone", async () => {
  let told = 0;
  const { root } = await claim(path, { checkMs: 20, onLost: () => (told += 1) });
  const owner = await readdir(root);
  await rm(path, { recursive: true });
  const { release } = await claim(path, { checkMs: 1e6 });
  await eventually(() => expect(told).toBeGreaterThan(1));
  await release();
  await eventually(async () => expect(await readdir(root)).toHaveLength(owner.length));
  const before = told;
  expect(await refusal()).toMatch(/is in use/);
  expect(told).toBe(before);
});

it("an owner that does not get round to answering is an owner still", async () => {
  const { root } = await claim();
  const names = await readdir(root);
  expect(names).toContain("owner.sock");
  await Promise.all(Array.from({ length: 30 }, () => refusal()));
  await eventually(async () => expect(await readdir(root)).toEqual(names));
});

/** A socket that nobody listens on any more. */
async function leaveSocket(where: string): Promise<void> {
  const server = createServer().listen(`${where}.tmp`);
  await once(server, "listening");
  // Closing removes the name that it was given at first.
  await rename(`${where}.tmp`, where);
  server.close();
  await once(server, "close");
}

it("a socket that another program put there is respected", async () => {
  await mkdir(join(path, "v1"), { recursive: true });
  const server = createServer().listen(join(path, "v1", "claim-0123456789ab.sock"));
  await once(server, "listening");
  expect(await refusal()).toMatch(/is in use/);
  server.close();
});
