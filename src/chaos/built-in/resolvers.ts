import { ends, plays, resolvesAlways, resolvesOnce, type TracksJson } from "./track.ts";

/** Resolvers that answer late, wrongly or not. */
export const resolvers: TracksJson = {
  "resolve-slow": plays("the resolver takes 2 s", resolvesAlways({ latency: "2s" })),
  "resolve-503": plays("503 from the resolver, once", resolvesOnce({ status: 503, retryAfter: 1 })),
  "resolve-404": ends("not-found", "404 from the resolver", resolvesAlways({ status: 404 })),
  "resolve-410": ends(
    "unplayable",
    "410 from the resolver: it can never play",
    resolvesAlways({ unplayable: "Not in this country" }),
  ),
  "resolve-hang": ends("upstream-timeout", "no answer from the resolver", resolvesAlways({ hang: true })),
  "resolve-garbage": ends(
    "upstream-failed",
    "no JSON from the resolver",
    resolvesAlways({ body: "<h1>It works!</h1>" }),
  ),
  "resolve-file": ends(
    "upstream-failed",
    "a file: URL from the resolver",
    resolvesAlways({ resolution: { url: "file:///etc/hostname" } }),
  ),
  "resolve-other-id": ends(
    "upstream-failed",
    "a resolution of another track",
    resolvesAlways({ resolution: { id: "another" } }),
  ),
  "resolve-wrong-length": plays(
    "a contentLength that is wrong",
    resolvesAlways({ resolution: { contentLength: 1234 } }),
  ),
};
