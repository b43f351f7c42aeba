import { always, ends, EARLY, LATE, once, plays, type TracksJson } from "./track.ts";

/** Bodies that do not come, or not all, or slowly. */
export const connections: TracksJson = {
  reset: plays(`RST after ${EARLY} bytes of the first answer`, once({ reset: EARLY })),
  "reset-headers": plays("RST instead of the first answer", once({ reset: "headers" })),
  "reset-often": plays("RST after 150000 bytes of every answer", always({ reset: 150_000 })),
  close: plays(`FIN after ${EARLY} bytes of the first answer`, once({ close: EARLY })),
  "close-later": plays(`FIN at byte ${LATE}, once`, once({ close: { offset: LATE } }, { covers: LATE })),
  stall: plays(`silence after ${EARLY} bytes of the first answer`, once({ stall: EARLY })),
  "stall-headers": plays("silence instead of the first answer", once({ stall: "headers" })),
  "stall-always": ends("upstream-timeout", "silence instead of every answer", {
    // With a length and a type, Afterbay could send headers and go on waiting.
    resolution: { contentLength: null, contentType: null },
    ...always({ stall: "headers" }),
  }),
  trickle: plays(
    `500 bytes a second after ${EARLY} bytes of the first answer`,
    once({ trickle: { at: EARLY, rate: 500 } }),
  ),
  latency: plays("2 s before the first answer", once({ latency: "2s" })),
  pause: plays(`a pause of 2 s after ${EARLY} bytes of the first answer`, once({ pause: { at: EARLY, for: "2s" } })),
  pace: plays("400 KiB a second", always({ pace: "400K" })),
};
