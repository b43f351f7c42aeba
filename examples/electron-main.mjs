// The main process of a desktop player. In Electron, take `app` from "electron", and hand the URLs to the window over
// IPC: `new Audio(url)` plays them. Here the process itself plays, so that it runs without Electron.
import { createProxy } from "afterbay";

const upstream = process.env.UPSTREAM ?? "http://127.0.0.1:9000";
const proxy = await createProxy({
  name: "music",
  resolve: async (id) => ({ url: `${upstream}/${encodeURIComponent(id)}` }),
  cacheDir: process.env.CACHE_DIR, // in Electron: join(app.getPath("userData"), "songs")
  cacheSize: "2G",
  hosts: [new URL(upstream).host],
});
proxy.on("track", ({ key, change }) => change === "complete" && console.log(`${key} plays offline now`));

// Port 0 is free on every machine; the token keeps other programs' web pages out.
const { port } = await proxy.listen({ port: 0, token: process.env.TOKEN ?? crypto.randomUUID() });
console.log(`listening on ${port}`);
const song = await fetch(proxy.urlFor(process.argv[2] ?? "song"));
console.log(`played ${(await song.arrayBuffer()).byteLength} bytes`);

// In Electron: app.on("before-quit", () => proxy.close()). A process that just exits frees port and directory too.
process.stdin.once("data", () => void proxy.close().then(() => process.stdin.destroy()));
process.stdin.once("end", () => process.exit());
