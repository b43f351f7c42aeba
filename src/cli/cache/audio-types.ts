/** What tells audio files: by content type, by extension, and by their first bytes. */

const EXTENSIONS: Readonly<Record<string, string>> = {
  "audio/mpeg": "mp3",
  "audio/mp3": "mp3",
  "audio/mp4": "m4a",
  "audio/x-m4a": "m4a",
  "audio/m4a": "m4a",
  "audio/aac": "aac",
  "audio/aacp": "aac",
  "audio/ogg": "ogg",
  "application/ogg": "ogg",
  "audio/opus": "opus",
  "audio/webm": "webm",
  "audio/x-matroska": "mka",
  "audio/flac": "flac",
  "audio/x-flac": "flac",
  "audio/wav": "wav",
  "audio/x-wav": "wav",
  "audio/wave": "wav",
  "audio/vnd.wave": "wav",
  "audio/aiff": "aiff",
  "audio/x-aiff": "aiff",
  "audio/x-ms-wma": "wma",
  "audio/x-ape": "ape",
  "audio/x-wavpack": "wv",
  "audio/basic": "au",
};

const AUDIO = new Set([
  ...Object.values(EXTENSIONS),
  ...[
    "oga",
    "m4b",
    "mp2",
    "mpga",
    "mp4",
    "aif",
    "aifc",
    "caf",
    "ac3",
    "dsf",
    "dff",
    "mpc",
    "tta",
    "amr",
    "snd",
    "wave",
  ],
]);

/** Without a dot. Undefined for a type that is not known. */
export function extensionOf(contentType: string): string | undefined {
  const [type = "", ...parameters] = contentType.toLowerCase().split(";");
  const extension = EXTENSIONS[type.trim()];
  // The same container, but players and people know it by another name.
  return extension === "ogg" && parameters.join(";").includes("opus") ? "opus" : extension;
}

/** `extension` without a dot, in any case. */
export function isAudioExtension(extension: string): boolean {
  return AUDIO.has(extension.toLowerCase());
}

/** How many bytes {@link sniff} wants to see. */
export const SNIFF_BYTES = 64;

/** At an offset, these bytes (latin1), and what a file with them usually is called. */
const MAGIC: readonly (readonly [number, string, string])[] = [
  [0, "ID3", "mp3"],
  [0, "fLaC", "flac"],
  [0, "OggS", "ogg"],
  [4, "ftyp", "m4a"],
  [0, "\x1aE\xdf\xa3", "webm"],
  [8, "WAVE", "wav"],
  [8, "AIFF", "aiff"],
  [8, "AIFC", "aiff"],
  [0, "wvpk", "wv"],
  [0, "MAC ", "ape"],
  [0, "\x30\x26\xb2\x75", "wma"],
  [0, "caff", "caf"],
  [0, "DSD ", "dsf"],
  [0, "FRM8", "dff"],
  [0, "MPCK", "mpc"],
  [0, "MP+", "mpc"],
  [0, "TTA1", "tta"],
  [0, "\x0b\x77", "ac3"],
  [0, "#!AMR", "amr"],
  [0, ".snd", "au"],
  [0, "ADIF", "aac"],
];

/** The extension that a file's first bytes suggest; undefined for bytes that no audio begins with. */
export function sniff(head: Uint8Array): string | undefined {
  const text = Buffer.from(head).toString("latin1");
  const found = MAGIC.find(([offset, magic]) => text.startsWith(magic, offset));
  if (found !== undefined) return found[2] === "ogg" && text.includes("OpusHead") ? "opus" : found[2];
  const [first = 0, second = 0, third = 0] = head;
  // ISO 11172-3 frame sync, or ADTS, whose layer is always 0.
  if (first !== 0xff || (second & 0xe0) !== 0xe0) return undefined;
  if ((second & 0xf6) === 0xf0) return "aac";
  // What is reserved, and a bit rate that is not given: text in UTF-16 begins with the same bits.
  const reserved = (second & 0x18) === 0x08 || (second & 0x06) === 0 || (third & 0x0c) === 0x0c;
  return reserved || third >> 4 === 0 || third >> 4 === 15 ? undefined : "mp3";
}
