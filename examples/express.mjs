// A music API with streaming, in Express: node examples/express.mjs, then play http://127.0.0.1:3000/stream/SONG
import { createProxy } from "afterbay";
import express from "express";

const upstream = process.env.UPSTREAM ?? "http://127.0.0.1:9000";
const proxy = await createProxy({
  name: "music",
  resolve: async (id) => ({ url: `${upstream}/${encodeURIComponent(id)}` }),
  cacheDir: process.env.CACHE_DIR ?? "./cache",
  cacheSize: "2G",
  hosts: [new URL(upstream).host],
});

const app = express();
// Who may listen is the app's affair: put its own middleware before this line.
app.get("/stream/:id", (req, res) => proxy.handle(req, res, req.params.id));
const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});

process.once("SIGTERM", () => {
  server.close();
  void proxy.close();
});
