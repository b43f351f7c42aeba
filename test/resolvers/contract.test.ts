import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Resolution, ResolveRequest } from "../../src/data-source/resolution.ts";
import { createDemo } from "../../src/resolvers/demo/demo.ts";
import { openSource } from "../../src/resolvers/index.ts";
import { createModuleResolver } from "../../src/resolvers/module.ts";
import { createUrlResolver } from "../../src/resolvers/url.ts";
import { createWebhookResolver } from "../../src/resolvers/webhook.ts";
import { createYouTube } from "../../src/resolvers/youtube/youtube.ts";
import { startFakeYouTube } from "../helpers/innertube/fake.ts";
import { type ClientView, usualFormats } from "../helpers/innertube/video.ts";
import { tmpDir } from "../helpers/process.ts";
import { startUpstream, type WebhookAnswer } from "../helpers/scripted-upstream.ts";
import { describeResolverContract } from "./contract.ts";

const SECRET = "SECRET-SIGNATURE";
const SECRET_URL = `https://media.example/song?sig=${SECRET}`;
const names = ["one", "two", "three"];

describeResolverContract("demo", { tracks: true, backend: "none" }, async () => {
  const resolver = await createDemo();
  const [host = ""] = resolver.hosts ?? [];
  return {
    resolver,
    ids: ["yaman", "fugue"],
    unknownId: "nothing",
    namesVariants: true,
    host,
    secrets: () => [],
    close: async () => resolver.close?.(),
  };
});

describeResolverContract("url", { tracks: true, backend: "none" }, async () => ({
  resolver: createUrlResolver("http://me:SECRET@127.0.0.1:9/{id}.flac"),
  ids: names,
  namesVariants: false,
  host: "127.0.0.1:9",
  secrets: () => ["SECRET", btoa("me:SECRET")],
  close: async () => {},
}));

describeResolverContract("folder", { tracks: false, backend: "none" }, async () => {
  const dir = await tmpDir();
  const { resolver } = await openSource(`folder:${dir.path}`);
  return {
    resolver,
    ids: [],
    unknownId: "nothing",
    namesVariants: true,
    host: "",
    secrets: () => [dir.path],
    async close() {
      await resolver.close?.();
      await dir.remove();
    },
  };
});

describeResolverContract("webhook", { tracks: true, backend: "limited" }, async (options) => {
  const up = await startUpstream();
  for (const name of names) up.resource(name);
  let say: WebhookAnswer | undefined;
  let live = 0;
  let hangs = false;
  const hook = up.webhook({
    async resolve(id) {
      if (hangs) {
        live += 1;
        await new Promise(() => {});
      }
      return say ?? (names.includes(id) ? up.resolution(id) : { status: 404 });
    },
  });
  const resolver = createWebhookResolver(hook.template.replace("//", "//me:SECRET@"), options);
  const answer = (next: WebhookAnswer) => (): void => {
    say = next;
  };
  return {
    resolver,
    ids: names,
    unknownId: "nothing",
    namesVariants: true,
    host: new URL(up.origin).host,
    secrets: () => [SECRET, "me:SECRET", btoa("me:SECRET")],
    backend: {
      calls: () => hook.calls().length,
      // A call is over when its connection is.
      live: () => (up.connections.open === 0 ? 0 : live),
      hang: () => {
        hangs = true;
      },
      say: {
        "not-found": answer({ status: 404, body: SECRET_URL }),
        unplayable: answer({ status: 410, body: { code: "unplayable", message: `No longer at ${SECRET_URL}` } }),
        transient: answer({ status: 500, body: SECRET_URL }),
      },
      told() {
        const { query } = hook.calls().at(-1) ?? { query: new URLSearchParams() };
        const { attempt = "", reason = "", quality = "" } = Object.fromEntries(query);
        return { attempt, reason, quality };
      },
    },
    async close() {
      await resolver.close?.();
      await up.close();
    },
  };
});

/** What the module asks, by its own number: Node loads each file once, and all share one global. */
const backends = new Map<number, (id: string, about: ResolveRequest) => Promise<Resolution>>();
Object.assign(globalThis, { afterbayContract: backends });
let modules = 0;

describeResolverContract("module", { tracks: true, backend: "unlimited" }, async () => {
  const dir = await tmpDir();
  const number = (modules += 1);
  const file = join(dir.path, `resolver-${number}.mjs`);
  await writeFile(
    file,
    `export default { resolve: (id, about) => globalThis.afterbayContract.get(${number})(id, about), close() {} };`,
  );
  const state: { calls: number; live: number; hangs: boolean; failure?: Error; last?: ResolveRequest } = {
    calls: 0,
    live: 0,
    hangs: false,
  };
  backends.set(number, async (id, about) => {
    state.calls += 1;
    state.last = about;
    if (state.failure !== undefined) throw state.failure;
    if (state.hangs) {
      state.live += 1;
      await new Promise((resolve) => about.signal.addEventListener("abort", resolve));
      state.live -= 1;
    }
    if (!names.includes(id)) throw Object.assign(new Error("No such track"), { code: "not-found" });
    return { url: `http://media.example/${id}`, variant: "1" };
  });
  const resolver = await createModuleResolver(file);
  const failing = (code: string) => (): void => {
    state.failure = Object.assign(new Error(`Nothing at ${SECRET_URL}`), { code });
  };
  return {
    resolver,
    ids: names,
    unknownId: "nothing",
    namesVariants: true,
    host: "media.example",
    secrets: () => [SECRET],
    quotesCauses: true,
    backend: {
      calls: () => state.calls,
      live: () => state.live,
      hang: () => {
        state.hangs = true;
      },
      say: {
        "not-found": failing("not-found"),
        unplayable: failing("unplayable"),
        forbidden: failing("url-refused"),
        transient: failing("ECONNRESET"),
      },
      told: () => ({
        attempt: String(state.last?.attempt),
        reason: String(state.last?.reason),
        quality: String(state.last?.quality),
      }),
    },
    async close() {
      await resolver.close?.();
      backends.delete(number);
      await dir.remove();
    },
  };
});

describeResolverContract("youtube", { tracks: true, backend: "limited" }, async (options) => {
  const yt = await startFakeYouTube();
  const ids = ["song-numb-1", "song-numb-2", "song-numb-3"];
  const view = (clients: ClientView): void => {
    for (const id of ids) yt.video(id, { formats: usualFormats(), clients: { "*": clients } });
  };
  view({});
  const says = (clients: ClientView) => (): void => view(clients);
  const base = encodeURIComponent(yt.origin.replace("//", "//me:SECRET@"));
  const resolver = await createYouTube(`base=${base}`, options);
  return {
    resolver,
    ids,
    unknownId: "not-a-video",
    namesVariants: true,
    host: new URL(yt.origin).host,
    secrets: () => [...yt.secrets, "SECRET", btoa("me:SECRET")],
    backend: {
      calls: () => yt.calls.length,
      live: () => yt.hanging,
      hang: says({ hangs: true }),
      say: {
        "not-found": says({ playability: { status: "ERROR", reason: `Unavailable: ${SECRET_URL}` } }),
        unplayable: says({ playability: { status: "UNPLAYABLE", reason: `No: ${SECRET_URL}` } }),
        forbidden: says({ http: { status: 403, body: SECRET_URL } }),
        transient: says({ http: { status: 500, body: SECRET_URL } }),
      },
    },
    async close() {
      await resolver.close?.();
      await yt.close();
    },
  };
});
