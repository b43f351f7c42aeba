import { always, CHUNK, ends, once, plays, type TracksJson } from "./track.ts";

/** Answers that are not the resource. */
export const statuses: TracksJson = {
  "status-500": plays("500 to the first request", once({ status: 500 })),
  "status-500-later": plays("500 to the first two requests from byte 524288 on", {
    faults: [{ when: { startFrom: CHUNK }, times: 2, do: { status: 500 } }],
  }),
  "status-429": plays("429 with Retry-After: 1 to the first request", once({ status: 429, retryAfter: 1 })),
  "status-503": plays("503 with Retry-After: 1 to the first request", once({ status: 503, retryAfter: 1 })),
  "status-503-hour": ends("upstream-failed", "503 with Retry-After: 3600", always({ status: 503, retryAfter: 3600 })),
  "status-403": ends("upstream-failed", "403 to everything", always({ status: 403 })),
  "status-404": ends("not-found", "404 to everything", always({ status: 404 })),
  html: plays("a login page with 200 to the first request", once({ page: "html" })),
  "html-always": ends("upstream-failed", "a login page with 200 to everything", always({ page: "html" })),
  "html-later": ends(
    "cut",
    "a login page with 200 from byte 524288 on",
    always({ page: "html" }, { startFrom: CHUNK }),
  ),
  json: plays("an error as JSON with 200 to the first request", once({ page: "json" })),
  "416-at-end": plays("totals of *, and 416 at the end", {
    resolution: { contentLength: null },
    ...always({ contentRange: { total: "*" } }),
  }),
  "416-bare": plays("416 without a size to every range", always({ unsatisfiable: "bare" }, { range: "bounded" })),
  "416-smaller": ends(
    "cut",
    "416 with a smaller size from byte 524288 on",
    always({ unsatisfiable: 100_000 }, { startFrom: CHUNK }),
  ),
};
