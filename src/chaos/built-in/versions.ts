import { always, CHUNK, ends, plays, type TracksJson } from "./track.ts";

/** A window of 512 KiB takes 5.1 s. */
const SLOW_FIRST = always({ pace: "100K" }, { request: 1 });

/** URLs that die, and bytes that are others the next time. */
export const versions: TracksJson = {
  "url-time": plays("each URL is good for 4 s, and the first answer takes 5 s", {
    urls: { lifetime: "4s" },
    ...SLOW_FIRST,
  }),
  "url-time-told": plays("the same, and told in expiresAt", { urls: { lifetime: "4s", told: true }, ...SLOW_FIRST }),
  "url-bytes": plays("each URL is good for 400000 bytes", { urls: { bytes: 400_000 } }),
  "url-requests": plays("each URL is good for one request", { urls: { requests: 1 } }),
  "url-gone": plays("each URL is good for one request, and then 410", { urls: { requests: 1, status: 410 } }),
  "other-variant": ends("cut", "each URL is good for one request; the next one is for another version", {
    urls: { requests: 1 },
    resolve: [{ when: { call: { from: 2 } }, do: { version: 2 } }],
  }),
  "changed-file": ends(
    "cut",
    "other bytes under a new ETag from the second request on",
    always({ version: 2 }, { request: { from: 2 } }),
  ),
  "changed-size": ends(
    "cut",
    "another length from the second request on",
    always({ version: 2, size: "1M" }, { request: { from: 2 } }),
  ),
  "weak-etag": plays("a weak ETag and a Last-Modified", {
    etag: "weak",
    lastModified: "Sat, 21 Nov 2026 07:28:00 GMT",
    resolution: { variant: null },
  }),
  ads: plays("other bytes for each request, and no validator", {
    resolution: { variant: null },
    ...always({ vary: true }),
  }),
  "ads-cut": plays("other bytes in [100000, 200000) for each request, no validator, and FIN at byte 700000 twice", {
    resolution: { variant: null },
    faults: [
      { do: { vary: { from: 100_000, to: 200_000 } } },
      { when: { covers: 700_000 }, times: 2, do: { close: { offset: 700_000 } } },
    ],
  }),
  qualities: plays("another length for each quality", {
    resolve: [
      { when: { quality: "low" }, do: { version: "low", size: CHUNK } },
      { when: { quality: "high" }, do: { version: "high", size: "2M" } },
    ],
  }),
  random: plays("faults by lot", { size: "3M", faults: { random: { rate: 0.6 } } }),
};
