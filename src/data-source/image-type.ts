/** How each type of image begins, in latin1; a dot is any byte. */
const SIGNATURES: readonly (readonly [string, string])[] = [
  ["\xff\xd8\xff", "image/jpeg"],
  ["\x89PNG\r\n\x1a\n", "image/png"],
  ["GIF8", "image/gif"],
  ["RIFF....WEBP", "image/webp"],
];

/** The type of an image by its own bytes, whatever others call it: jpeg, png, gif or webp; undefined for all else. */
export function imageType(bytes: Uint8Array): string | undefined {
  const head = Buffer.from(bytes.subarray(0, 16)).toString("latin1");
  return SIGNATURES.find(([signature]) => begins(head, signature))?.[1];
}

function begins(head: string, signature: string): boolean {
  return Array.from(signature).every((character, at) => character === "." || character === head[at]);
}
