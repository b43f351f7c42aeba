import { describe, expect, it, vi } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { createServer } from "../../src/cli/create-server.ts";
import { tmpDir } from "../helpers/process.ts";
import { emptyServer, ready, serverOptions, start } from "./fake-io.ts";

function failingWith(error: unknown) {
  return start({ argv: ["serve", "--cache-dir", "/music"], createServer: () => Promise.reject(error) });
}

function systemError(code: string, facts: object = {}): Error {
  return Object.assign(new Error(`${code}: as Node.js puts it`), { code, ...facts });
}

describe("help and version", () => {
  it.each([["--help"], ["serve", "--help"], ["help"], ["help", "serve"]])("%s %s go to stdout", async (...argv) => {
    const program = start({ argv: argv.filter((word) => word !== undefined) });
    expect(await program.code).toBe(0);
    expect(program.stdout.text).toContain("Usage: afterbay");
    expect(program.stderr.text).toBe("");
  });

  it.each([[["--version"]], [["serve", "--version"]]])("%j prints the version", async (argv) => {
    const program = start({ argv });
    expect(await program.code).toBe(0);
    expect(program.stdout.text).toBe(`${manifest.version}\n`);
  });

  it("shows help, as a mistake, where no command is given", async () => {
    const program = start({ argv: [] });
    expect(await program.code).toBe(2);
    expect(program.stderr.text).toContain("Usage: afterbay");
  });
});

describe("what serve says when it is ready", () => {
  it("is the page and a line to try", async () => {
    const program = start({ argv: ["serve"] });
    await ready(program);
    expect(program.stdout.lines).toEqual([
      "Listening on http://127.0.0.1:8085 (open it in a browser)",
      "Try: mpv http://127.0.0.1:8085/stream/yaman",
    ]);
    program.signals.emit("SIGINT");
    expect(await program.code).toBe(0);
  });

  it("is one line of JSON with --json", async () => {
    const program = start({ argv: ["serve", "--json"] });
    await ready(program);
    expect(program.stdout.lines).toHaveLength(1);
    expect(JSON.parse(program.stdout.text)).toEqual({
      event: "ready",
      url: "http://127.0.0.1:8085",
      pid: process.pid,
      version: manifest.version,
    });
    program.signals.emit("SIGINT");
    expect(await program.code).toBe(0);
  });

  it("never holds the token", async () => {
    const program = start({ argv: ["serve", "--token", "hush"] });
    await ready(program);
    expect(program.stdout.text).toContain("?token=TOKEN");
    expect(program.stdout.text).not.toContain("hush");
    program.signals.emit("SIGINT");
    await program.code;
  });
});

describe("stopping", () => {
  it.each(["SIGINT", "SIGTERM", "SIGHUP"])("%s closes the server and exits 0", async (signal) => {
    const program = start({ argv: ["serve"] });
    await ready(program);
    program.signals.emit(signal);
    expect(await program.code).toBe(0);
    expect(program.closed.times).toBe(1);
    expect(program.exits).toEqual([]);
    expect(program.signals.eventNames()).toEqual([]);
  });

  it("--exit-with-parent stops when stdin closes", async () => {
    const program = start({ argv: ["serve", "--exit-with-parent"] });
    await ready(program);
    program.stdin.end();
    expect(await program.code).toBe(0);
    expect(program.closed.times).toBe(1);
  });

  it("without --exit-with-parent stdin may close", async () => {
    const program = start({ argv: ["serve"] });
    await ready(program);
    program.stdin.end();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(program.closed.times).toBe(0);
    program.signals.emit("SIGTERM");
    await program.code;
  });

  it("a signal while it starts closes what has started, and announces nothing", async () => {
    let finish = () => {};
    const starting = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const close = vi.fn(async () => {});
    const program = start({
      argv: ["serve"],
      createServer: async () => {
        await starting;
        return emptyServer(close);
      },
    });
    while (program.started.length === 0) await new Promise((resolve) => setImmediate(resolve));
    program.signals.emit("SIGTERM");
    finish();
    expect(await program.code).toBe(0);
    expect(close).toHaveBeenCalledOnce();
    expect(program.stdout.text).toBe("");
  });

  it("exits after less than 2 s though the server will not close, and at once on a second signal", async () => {
    const program = start({
      argv: ["serve"],
      createServer: async () => emptyServer(() => new Promise<void>(() => {})),
    });
    await ready(program);
    const askedAt = performance.now();
    program.signals.emit("SIGINT");
    program.signals.emit("SIGINT");
    expect(program.exits).toEqual([]);

    await new Promise((resolve) => setTimeout(resolve, 600));
    program.signals.emit("SIGINT");
    expect(program.exits).toEqual([1]);

    while (program.exits.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(program.exits).toEqual([1, 0]);
    expect(performance.now() - askedAt).toBeLessThan(2000);
  });
});

describe("a failure exits 1 with one line and no stack", () => {
  it.each([
    [systemError("EADDRINUSE", { syscall: "listen" }), "127.0.0.1 port 8085 is taken"],
    [systemError("EACCES", { syscall: "listen" }), "cannot listen on 127.0.0.1 port 8085: permission denied."],
    [systemError("EADDRNOTAVAIL", { syscall: "listen" }), "127.0.0.1 is not an address of this machine."],
    [systemError("ENOTFOUND", { syscall: "getaddrinfo" }), "127.0.0.1 is not a host name that is known here."],
    [systemError("EACCES", { syscall: "mkdir", path: "/music/v1" }), "cannot use /music/v1: permission denied."],
    [systemError("EROFS", { syscall: "mkdir" }), "cannot use /music: the file system is read-only."],
    [systemError("ENOTDIR", { path: "/music" }), "cannot use /music: not a directory."],
    [new Error("Unknown source:\n  nope"), "Unknown source: nope"],
    ["a bare string", "a bare string"],
  ])("%s", async (error, words) => {
    const program = failingWith(error);
    expect(await program.code).toBe(1);
    expect(program.stderr.lines).toHaveLength(1);
    expect(program.stderr.text).toContain(`afterbay: ${words}`);
    expect(program.stdout.text).toBe("");
    expect(program.signals.eventNames()).toEqual([]);
  });

  it("shows the stack at --log-level debug", async () => {
    const program = start({
      argv: ["serve", "--log-level", "debug"],
      createServer: () => Promise.reject(new Error("nope")),
    });
    expect(await program.code).toBe(1);
    expect(program.stderr.text).toContain("serve.test.ts");
    expect(program.stderr.lines.at(-1)).toBe("afterbay: nope");
  });

  it("fails too when closing does", async () => {
    const program = start({
      argv: ["serve"],
      createServer: async () => emptyServer(() => Promise.reject(systemError("ENOSPC"))),
    });
    await ready(program);
    program.signals.emit("SIGTERM");
    expect(await program.code).toBe(1);
    expect(program.stderr.text).toContain("the disk is full");
  });
});

it("the address to try holds no token", async () => {
  const dir = await tmpDir();
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  const options = await serverOptions(["--token", "sesame", "--port", "0", "--cache-dir", dir.path]);
  const server = await createServer({ ...options, log });
  expect(await server.sampleUrl()).toBe(`${server.url}/stream/demo/yaman`);
  await server.close();
  await dir.remove();
});
