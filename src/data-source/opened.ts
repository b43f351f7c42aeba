import type { Opened } from "./data-source.ts";

/** An Opened without bytes: the position is at or past the end, or nothing is wanted any more. */
export function emptyOpened(start: number, about: Partial<Opened> = {}): Opened {
  return {
    ...about,
    start,
    ranged: true,
    endsCleanly: () => false,
    body: (async function* () {})(),
    [Symbol.asyncDispose]: async () => {},
  };
}

/** `opened` with another body and its own disposal, everything else as it is. */
export function withBody(
  opened: Opened,
  changes: Partial<Opened> & { body: AsyncIterable<Uint8Array>; dispose: () => Promise<void> },
): Opened {
  const { dispose, ...rest } = changes;
  return { ...opened, ...rest, [Symbol.asyncDispose]: dispose };
}
