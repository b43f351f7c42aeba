import { always, CHUNK, ends, EARLY, once, plays, type TracksJson } from "./track.ts";
import { BYTES_PER_SECOND, WAV_HEADER_BYTES } from "../wav.ts";

const MINUTE = WAV_HEADER_BYTES + 60 * BYTES_PER_SECOND;

/** Ranges and lengths that are not what they should be. */
export const ranges: TracksJson = {
  "ignored-range": plays("200 with everything to every range", always({ ignoreRange: true })),
  "ignored-range-later": plays(
    "200 with everything from byte 524288 on",
    always({ ignoreRange: true }, { startFrom: CHUNK }),
  ),
  "range-missing": plays("206 without Content-Range, once", once({ contentRange: "missing" })),
  "range-start": plays("Content-Range with another start, once", once({ contentRange: { shift: 1000 } })),
  "range-shifted": plays(
    "the bytes of another range, labelled truly, once",
    once({ shiftRange: 1000 }, { startFrom: CHUNK }),
  ),
  "range-always": ends(
    "upstream-failed",
    "Content-Range with another start, always",
    always({ contentRange: { shift: 1000 } }),
  ),
  "range-total": ends(
    "cut",
    "another total from byte 524288 on",
    always({ contentRange: { total: 5_000_000 } }, { startFrom: CHUNK }),
  ),
  multipart: plays("multipart/byteranges, once", once({ multipart: true })),
  truncate: plays(`clean answers of at most ${EARLY} bytes`, always({ truncate: EARLY })),
  surplus: plays(
    "1000 bytes too many, counted in Content-Length",
    always({ surplus: { bytes: 1000, counted: "length" } }, { startBelow: 1 }),
  ),
  "surplus-range": plays(
    "1000 bytes too many, counted in Content-Range",
    always({ surplus: { bytes: 1000, counted: "range" } }, { startBelow: 1 }),
  ),
  "surplus-raw": plays(
    "1000 bytes too many, counted nowhere",
    always({ surplus: { bytes: 1000, counted: "raw" } }, { startBelow: 1 }),
  ),
  "length-missing": plays("no Content-Length; the connection ends with the body", always({ contentLength: "close" })),
  "length-chunked": plays("chunks instead of a Content-Length", always({ contentLength: "chunked" })),
  "length-larger": plays(
    "Content-Length of 1000 bytes more than there are, once",
    once({ contentLength: { add: 1000 } }),
  ),
  "range-limit": plays("403 to ranges above 1 MiB", { size: "5M", ...always({ rangeLimit: "1M" }) }),
  wall: ends("cut", "206 up to 60 s of audio, 403 beyond", {
    size: MINUTE + 900_000,
    ...always({ wall: { at: MINUTE } }),
  }),
  gzip: plays("gzip despite identity, once", once({ encode: "gzip" })),
  br: plays("br despite identity, once", once({ encode: "br" })),
  deflate: plays("deflate despite identity, once", once({ encode: "deflate" })),
  "gzip-always": ends("upstream-failed", "gzip despite identity, always", always({ encode: "gzip" })),
  "unknown-length": plays("chunked, of a length that nobody tells", { unknownLength: true }),
};
