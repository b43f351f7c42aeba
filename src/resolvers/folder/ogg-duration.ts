/** A page has at most 255 segments of 255 bytes behind its header (RFC 3533, section 6): the last begins within these. */
export const MAX_PAGE_SIZE = 27 + 255 + 255 * 255;

const HEADER_SIZE = 27;
/** RFC 7845, section 4: granule positions of Opus count at 48 kHz, whatever the input was sampled at. */
const OPUS_RATE = 48_000;

/**
 * How long an Ogg stream plays, in ms, by the granule position of its last page (RFC 3533, section 6). `head` is its
 * beginning, `tail` at least its last {@link MAX_PAGE_SIZE} bytes; `sampleRate` in Hz, not needed for Opus. Undefined
 * where they do not tell.
 */
export function oggDurationMs(head: Buffer, tail: Buffer, sampleRate: number | undefined): number | undefined {
  if (head.length < HEADER_SIZE + 1 || head.toString("latin1", 0, 4) !== "OggS") return undefined;
  const serial = head.readUInt32LE(14);
  const packet = HEADER_SIZE + head.readUInt8(26);
  const isOpus = head.toString("latin1", packet, packet + 8) === "OpusHead" && head.length >= packet + 12;
  const rate = isOpus ? OPUS_RATE : sampleRate;
  if (rate === undefined || rate <= 0) return undefined;
  const skipped = isOpus ? head.readUInt16LE(packet + 10) : 0;
  const last = lastGranule(tail, serial);
  return last === undefined ? undefined : Math.max(0, Math.round(((last - skipped) / rate) * 1000));
}

function lastGranule(tail: Buffer, serial: number): number | undefined {
  for (let at = tail.lastIndexOf("OggS"); at >= 0; at = at === 0 ? -1 : tail.lastIndexOf("OggS", at - 1)) {
    if (at + HEADER_SIZE > tail.length || tail.readUInt8(at + 4) !== 0 || tail.readUInt32LE(at + 14) !== serial)
      continue;
    const granule = tail.readBigInt64LE(at + 6);
    // −1: no packet ends on this page.
    if (granule >= 0n) return Number(granule);
  }
  return undefined;
}
