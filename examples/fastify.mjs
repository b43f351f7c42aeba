// The same in Fastify: node examples/fastify.mjs, then play http://127.0.0.1:3000/stream/SONG
import { createProxy } from "afterbay";
import fastify from "fastify";

const upstream = process.env.UPSTREAM ?? "http://127.0.0.1:9000";
const proxy = await createProxy({
  name: "music",
  resolve: async (id) => ({ url: `${upstream}/${encodeURIComponent(id)}` }),
  cacheDir: process.env.CACHE_DIR ?? "./cache",
  cacheSize: "2G",
  hosts: [new URL(upstream).host],
});

const app = fastify();
app.get("/stream/:id", (request, reply) => {
  // From here on the answer is the proxy's: Fastify must not send one of its own.
  reply.hijack();
  void proxy.handle(request.raw, reply.raw, request.params.id);
});
app.addHook("onClose", () => proxy.close());
console.log(await app.listen({ port: Number(process.env.PORT ?? 3000), host: "127.0.0.1" }));

process.once("SIGTERM", () => void app.close());
