import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { ResolveRequest, Resolver } from "../../src/data-source/resolution.ts";
import { AfterbayError } from "../../src/errors.ts";
import { createWebhookResolver, type WebhookOptions } from "../../src/resolvers/webhook.ts";

const closing: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function resolverOf(template: string, options?: WebhookOptions): Resolver {
  const resolver = createWebhookResolver(template, options);
  closing.unshift(async () => resolver.close?.());
  return resolver;
}

function about(more: Partial<ResolveRequest> = {}): ResolveRequest {
  return { signal: new AbortController().signal, attempt: 1, reason: "first", ...more };
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

/** What becomes of one answer: the resolution, or the error's code, message and wait. */
async function outcome(listener: RequestListener, options?: WebhookOptions): Promise<unknown> {
  const resolver = resolverOf(`${await serve(listener)}/{id}`, options);
  try {
    return await resolver.resolve("yaman", about());
  } catch (error) {
    if (!(error instanceof AfterbayError)) throw error;
    return { code: error.code, message: error.message, retryAfterMs: error.retryAfterMs };
  }
}

const answering = (status: number, body: unknown, headers?: Record<string, string>): Promise<unknown> =>
  outcome((_request, response) => json(response, status, body, headers));

describe("a webhook", () => {
  it("is asked with the id, attempt, reason and quality", async () => {
    const asked: string[] = [];
    const origin = await serve((request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.accept} ${request.headers.authorization}`);
      json(response, 200, { url: "https://cdn.example/a", variant: "1" });
    });
    const plain = resolverOf(`${origin}/resolve/{id}`);
    expect(await plain.resolve("a/b", about())).toEqual({ url: "https://cdn.example/a", variant: "1" });
    await resolverOf(`${origin.replace("//", "//me:pw@")}/r?key=a%20b&id={id}`).resolve(
      "x&y",
      about({ attempt: 2, reason: "forbidden", quality: "low" }),
    );
    expect(asked).toEqual([
      "GET /resolve/a%2Fb?attempt=1&reason=first application/json undefined",
      `GET /r?key=a%20b&id=x%26y&attempt=2&reason=forbidden&quality=low application/json Basic ${btoa("me:pw")}`,
    ]);
    expect(plain.hosts).toEqual([origin.slice("http://".length)]);
  });

  it("answers 404 for an unknown id", async () => {
    expect(await answering(404, { message: "no" })).toMatchObject({ code: "not-found" });
  });

  it("answers 410 with a code for a track that can never play, and its words are shown", async () => {
    const message = async (text: unknown): Promise<unknown> => answering(410, { code: "unplayable", message: text });
    expect(await message("Not in your country")).toMatchObject({ code: "unplayable", message: "Not in your country" });
    expect(await message(" a\u001b[31m\r\nb\u0000 ")).toMatchObject({ message: "a [31m b" });
    expect(await message("🎵".repeat(300))).toMatchObject({ message: "🎵".repeat(200) });
    for (const text of [undefined, 5, "", "\n"]) {
      expect(await message(text)).toMatchObject({ code: "unplayable", message: "This track cannot be played" });
    }
  });

  it("answers anything else for a failure that may pass", async () => {
    for (const status of [201, 204, 206, 304, 400, 401, 402, 403, 405, 500, 502, 504]) {
      expect(await answering(status, { url: "https://cdn.example/a" }), String(status)).toMatchObject({
        code: "transient",
        retryAfterMs: undefined,
      });
    }
    expect(await answering(410, { code: "gone" })).toMatchObject({ code: "transient" });
    expect(await answering(410, null)).toMatchObject({ code: "transient" });
    expect(await outcome((_request, response) => response.writeHead(410).end("<html>"))).toMatchObject({
      code: "transient",
    });
  });

  it("is waited for as Retry-After says, in seconds or until a date", async () => {
    expect(await answering(429, {}, { "retry-after": "7" })).toMatchObject({ code: "transient", retryAfterMs: 7000 });
    expect(await answering(503, {}, { "retry-after": "soon" })).toMatchObject({
      code: "transient",
      retryAfterMs: undefined,
    });
    expect(await answering(500, {}, { "retry-after": "7" })).toMatchObject({
      code: "transient",
      retryAfterMs: undefined,
    });
    const found = await answering(503, {}, { "retry-after": new Date(Date.now() + 60_000).toUTCString() });
    const { retryAfterMs } = found as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThan(50_000);
    expect(retryAfterMs).toBeLessThanOrEqual(60_000);
  });

  it("is refused where its answer is no resolution", async () => {
    expect(await answering(200, { url: "file:///etc/passwd" })).toMatchObject({
      code: "wrong-answer",
      message: expect.stringContaining("url is neither"),
    });
    expect(await answering(200, [])).toMatchObject({ code: "wrong-answer" });
    expect(await outcome((_request, response) => response.end("<html>secret"))).toMatchObject({
      code: "wrong-answer",
      message: "The webhook's answer is not JSON",
    });
    expect(await outcome((_request, response) => response.end())).toMatchObject({ code: "wrong-answer" });
  });

  it("may answer 64 KiB and no more", async () => {
    const padded =
      (length: number): RequestListener =>
      (_request, response) => {
        const start = '{"url":"https://cdn.example/a","x":"';
        response.end(`${start}${"x".repeat(length - start.length - 2)}"}`);
      };
    expect(await outcome(padded(65_536))).toMatchObject({ url: "https://cdn.example/a" });
    expect(await outcome(padded(65_537))).toMatchObject({
      code: "wrong-answer",
      message: expect.stringContaining("64 KiB"),
    });
    let sent = 0;
    const endless = (_request: IncomingMessage, response: ServerResponse): void => {
      const pump = (): void => {
        while (!response.destroyed && response.write("x".repeat(16_384))) sent += 16_384;
        if (!response.destroyed) response.once("drain", pump);
      };
      pump();
    };
    expect(await outcome(endless)).toMatchObject({ code: "wrong-answer" });
    expect(sent).toBeLessThan(16 * 1024 * 1024);
  });

  it("may redirect within its own origin, three times", async () => {
    const hops = (count: number, location: (hop: number) => string): Promise<unknown> =>
      outcome((request, response) => {
        const hop = Number(/hop=(\d+)/.exec(request.url ?? "")?.[1] ?? 0);
        if (hop < count) response.writeHead(307, { location: location(hop + 1) }).end();
        else json(response, 200, { url: "https://cdn.example/a" });
      });
    expect(await hops(3, (hop) => `/yaman/?hop=${hop}`)).toMatchObject({ url: "https://cdn.example/a" });
    expect(await hops(4, (hop) => `/yaman/?hop=${hop}`)).toMatchObject({ code: "transient" });
    expect(await hops(1, () => "http://[")).toMatchObject({ code: "transient" });
  });

  it("cannot redirect to another host or port", async () => {
    let reached = 0;
    const elsewhere = await serve((_request, response) => {
      reached += 1;
      json(response, 200, { url: "https://cdn.example/a" });
    });
    for (const location of [
      elsewhere,
      elsewhere.replace("127.0.0.1", "localhost"),
      "//evil.example/",
      "file:///etc/passwd",
    ]) {
      expect(await outcome((_request, response) => response.writeHead(302, { location }).end())).toMatchObject({
        code: "transient",
      });
    }
    expect(reached).toBe(0);
  });

  it("fails in time when it hangs, before and after its headers", async () => {
    const silent = { code: "stalled", message: "The webhook did not answer in time" };
    expect(await outcome(() => undefined, { timeoutMs: 100 })).toMatchObject(silent);
    expect(
      await outcome((_request, response) => response.writeHead(200).write('{"url"'), { timeoutMs: 100 }),
    ).toMatchObject(silent);
  });

  it("is left at once when nobody waits any more", async () => {
    let closed: Promise<unknown> | undefined;
    const origin = await serve((request) => {
      closed = once(request.socket, "close");
      controller.abort(new Error("gone"));
    });
    const controller = new AbortController();
    const pending = resolverOf(`${origin}/{id}`).resolve("x", about({ signal: controller.signal }));
    await expect(pending).rejects.toThrow("gone");
    await closed;
    const aborted = resolverOf(`${origin}/{id}`).resolve(
      "x",
      about({ signal: AbortSignal.abort(new Error("before")) }),
    );
    await expect(aborted).rejects.toThrow("before");
  });

  it("that is not there is a failure that may pass", async () => {
    const origin = await serve(() => undefined);
    for (const close of closing.splice(0)) await close();
    await expect(resolverOf(`${origin}/{id}`).resolve("x", about())).rejects.toMatchObject({ code: "transient" });
    expect(await outcome((request) => request.socket.destroy())).toMatchObject({ code: "transient" });
    await expect(resolverOf("http://name.invalid/{id}").resolve("x", about())).rejects.toMatchObject({
      code: "unreachable",
    });
  });

  it("ends what is under way when it is closed", async () => {
    const resolver = resolverOf(`${await serve(() => void resolver.close?.())}/{id}`);
    await expect(resolver.resolve("x", about())).rejects.toMatchObject({ code: "transient" });
  });

  it("has a template that is one", () => expect(() => createWebhookResolver("http://{id}/")).toThrow());
});
