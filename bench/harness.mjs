import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const program = process.env.AFTERBAY ?? fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** Starts an origin and a server before it, each in a process of its own. */
export async function start(originArguments, serverArguments = []) {
  const origin = spawn(process.execPath, [
    fileURLToPath(new URL("origin.mjs", import.meta.url)),
    ...originArguments.map(String),
  ]);
  const originPort = Number(String((await once(origin.stdout, "data"))[0]));
  const cacheDir = await mkdtemp(join(tmpdir(), "afterbay-bench-"));
  const source = `url:http://127.0.0.1:${originPort}/{id}`;
  const server = spawn(
    process.execPath,
    [program, "serve", "--port", "0", "--json", "--cache-dir", cacheDir, "--source", source, ...serverArguments],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const { url, pid } = JSON.parse(String((await once(server.stdout, "data"))[0]));
  return {
    originPort,
    port: Number(new URL(url).port),
    pid,
    stop: async () => {
      server.kill();
      origin.kill();
      await once(server, "exit");
      await rm(cacheDir, { recursive: true, force: true });
    },
  };
}

const agent = new Agent({ keepAlive: true });

/** Ms to the first byte of the body, and to its end if `whole`; else the request is cut there. */
export function fetchBytes(port, path, range, whole = false) {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const headers = range === undefined ? {} : { range: `bytes=${range}` };
    const outgoing = request({ port, path, headers, agent: whole ? agent : undefined }, (response) => {
      let first;
      response.on("error", () => {});
      response.on("data", () => {
        first ??= performance.now() - began;
        if (!whole) {
          response.destroy();
          resolve({ first });
        }
      });
      response.on("end", () => resolve({ first, total: performance.now() - began, headers: response.headers }));
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

export function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
