import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serverOptions, start } from "./fake-io.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "afterbay-cli-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
function configFile(content: unknown): string {
  const path = join(directory, `${files++}.json`);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

async function refused(argv: readonly string[], env: Record<string, string> = {}) {
  const program = start({ argv, env });
  const code = await program.code;
  expect(program.started).toEqual([]);
  expect(program.stdout.text).toBe("");
  expect(program.stderr.lines).toHaveLength(1);
  return { code, line: program.stderr.lines[0] };
}

describe("settings", () => {
  it("have the defaults of the manual", async () => {
    const { log, ...options } = await serverOptions([], { XDG_DATA_HOME: "/data" });
    expect(log).toBeDefined();
    expect(options).toEqual({
      auto: false,
      host: "127.0.0.1",
      port: 8085,
      cacheDir: expect.stringMatching(/afterbay$/),
      cacheSize: 2 * 1024 ** 3,
      sources: ["demo"],
      token: undefined,
      allowHosts: [],
      allowOrigins: [],
      allowPrivate: false,
      maxWindow: undefined,
      firstByteMs: 4000,
      patienceMs: 20_000,
      dataSaver: false,
      quality: undefined,
    });
  });

  it("are all read from the command line", async () => {
    const line =
      "--host ::1 --port 0 --cache-dir /music --cache-size 200M --source demo --source a=folder:/x --token t " +
      "--allow-host music.local --allow-host nas:80 --allow-origin http://localhost:3000 --allow-private " +
      "--max-window 512K --first-byte 500ms --patience 1m --data-saver --quality high";
    expect(await serverOptions(line.split(" "))).toMatchObject({
      host: "::1",
      port: 0,
      cacheDir: "/music",
      cacheSize: 200 * 1024 ** 2,
      sources: ["demo", "a=folder:/x"],
      token: "t",
      allowHosts: ["music.local", "nas:80"],
      allowOrigins: ["http://localhost:3000"],
      allowPrivate: true,
      maxWindow: 512 * 1024,
      firstByteMs: 500,
      patienceMs: 60_000,
      dataSaver: true,
      quality: "high",
    });
  });

  it("come from the command line before the environment, the config file and the default", async () => {
    const path = configFile({ port: 3, "cache-size": "3M", patience: "3s", source: ["three"] });
    const env = { AFTERBAY_CONFIG: path, AFTERBAY_PORT: "2", AFTERBAY_CACHE_SIZE: "2M", AFTERBAY_SOURCE: "two" };
    expect(await serverOptions(["--port", "1", "--source", "one"], env)).toMatchObject({
      port: 1,
      sources: ["one"],
      cacheSize: 2 * 1024 ** 2,
      patienceMs: 3000,
      firstByteMs: 4000,
    });
  });

  it("name the config file on the command line before the environment", async () => {
    const argv = ["--config", configFile({ port: 1 })];
    expect(await serverOptions(argv, { AFTERBAY_CONFIG: configFile({ port: 2 }) })).toMatchObject({ port: 1 });
  });

  it("take an empty variable for none, and a repeated single flag by its last value", async () => {
    expect(await serverOptions(["--port", "1", "--port", "2"], { AFTERBAY_HOST: "" })).toMatchObject({
      host: "127.0.0.1",
      port: 2,
    });
  });

  it.each([
    ["demo podcast:http://x/feed", ["demo", "podcast:http://x/feed"]],
    ["demo\n  folder:/My Music\n", ["demo", "folder:/My Music"]],
  ])("split AFTERBAY_SOURCE=%j", async (value, sources) => {
    expect(await serverOptions([], { AFTERBAY_SOURCE: value })).toMatchObject({ sources });
  });

  it.each([
    ["1", true],
    ["true", true],
    ["no", false],
  ])("read AFTERBAY_DATA_SAVER=%s as %s", async (value, dataSaver) => {
    expect(await serverOptions([], { AFTERBAY_DATA_SAVER: value })).toMatchObject({ dataSaver });
  });

  it("read a config file in either spelling, with a byte order mark", async () => {
    const path = configFile(
      '\uFEFF{"cacheSize": 1048576, "max-window": "1M", "dataSaver": true, "source": "folder:/My Music"}',
    );
    expect(await serverOptions(["--config", path])).toMatchObject({
      cacheSize: 1_048_576,
      maxWindow: 1_048_576,
      dataSaver: true,
      sources: ["folder:/My Music"],
    });
  });
});

describe("a wrong command line exits 2 with one line", () => {
  it.each([
    ["an unknown flag", ["serve", "--nope"]],
    ["a misspelt flag", ["serve", "--prot", "1"]],
    ["an unknown command", ["sevre"]],
    ["an argument too many", ["serve", "demo"]],
    ["a flag without its value", ["serve", "--port"]],
    ["a switch with a value", ["serve", "--json=yes"]],
  ])("%s", async (_name, argv) => {
    expect(await refused(argv)).toMatchObject({ code: 2, line: expect.stringMatching(/^afterbay: /) });
  });

  it.each([
    ["--port", "abc"],
    ["--port", "-1"],
    ["--port", "65536"],
    ["--port", "80.5"],
    ["--port", ""],
    ["--host", ""],
    ["--host", "http://x"],
    ["--cache-dir", ""],
    ["--cache-size", "2GB"],
    ["--cache-size", "0"],
    ["--source", ""],
    ["--token", ""],
    ["--config", ""],
    ["--allow-host", "http://x"],
    ["--allow-origin", "x"],
    ["--allow-origin", "http://x/path"],
    ["--max-window", "lots"],
    ["--first-byte", "4"],
    ["--patience", "soon"],
    ["--quality", "best"],
    ["--log-level", "loud"],
  ])("%s %j", async (flag, value) => {
    const { code, line } = await refused(["serve", `${flag}=${value}`]);
    expect(code).toBe(2);
    expect(line).toContain(`afterbay: ${flag}: ${JSON.stringify(value)} is not `);
  });

  it("names the variable that is wrong", async () => {
    const { code, line } = await refused(["serve"], { AFTERBAY_CACHE_SIZE: "big" });
    expect(code).toBe(2);
    expect(line).toContain('afterbay: AFTERBAY_CACHE_SIZE: "big" is not a size');
  });
});

describe("a wrong config file exits 1 with one line that names the file and the key", () => {
  it.each([
    ["an unknown key", { prot: 1 }, '"prot" is not a setting'],
    ["another config file", { config: "x.json" }, '"config" is not a setting'],
    ["a key in both spellings", { "cache-size": 1, cacheSize: 2 }, '"cacheSize" is there twice'],
    ["text for a number", { port: "8085" }, '"port" must be a number'],
    ["a number for a duration", { patience: 20 }, '"patience" must be a string'],
    ["text for a switch", { "data-saver": "yes" }, '"data-saver" must be a boolean'],
    ["null", { token: null }, '"token" must be a string'],
    ["an object", { host: {} }, '"host" must be a string'],
    ["a list of numbers", { source: [1] }, '"source" must be a string or a list of strings'],
    ["a list for one value", { "cache-dir": ["/a"] }, '"cache-dir" must be a string'],
    ["a value that cannot be read", { "cache-size": "2GB" }, '"cache-size": "2GB" is not a size'],
    ["one bad origin of two", { "allow-origin": ["http://a", "b"] }, '"allow-origin": "b" is not an origin'],
    ["a list", [], "must hold one JSON object"],
    ["no JSON", '{"token": "hush"\n  oops}', "is not JSON"],
    ["half of it", '{"token": "hush"', "is not JSON"],
    ["nothing", "", "is not JSON"],
  ])("%s", async (_name, content, words) => {
    const path = configFile(content);
    const { code, line } = await refused(["serve", "--config", path]);
    expect(code).toBe(1);
    expect(line).toContain(path);
    expect(line).toContain(words);
    expect(line).not.toContain("hush");
  });

  it("says where it is no JSON", async () => {
    const { line } = await refused(["serve", "--config", configFile('{"port": 1,\n  oops}')]);
    expect(line).toContain("line 2, column 3");
  });

  it("cannot be read", async () => {
    const missing = join(directory, "missing.json");
    expect(await refused(["serve", "--config", missing])).toMatchObject({
      code: 1,
      line: `afterbay: cannot read the config file ${missing}: no such file or directory.`,
    });
    expect(await refused(["serve", "--config", directory])).toMatchObject({
      code: 1,
      line: `afterbay: cannot read the config file ${directory}: is a directory.`,
    });
  });
});
