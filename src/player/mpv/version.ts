/** The oldest mpv that this driver speaks to: `playlist_entry_id` in its answers and events, named arguments. */
export const OLDEST_MPV = { major: 0, minor: 35 } as const;

export interface MpvVersion {
  readonly major: number;
  readonly minor: number;
}

/**
 * Reads `mpv 0.35.1`, `mpv v0.40.0-dirty`, or the first line of `mpv --version`. Undefined for a build that has no number
 * (`mpv git-2024-05-01`, `mpv UNKNOWN`): people build those from sources that are newer than any release.
 */
export function parseMpvVersion(text: string): MpvVersion | undefined {
  const [, major, minor] = /^mpv v?(\d{1,4})\.(\d{1,4})(?:\D|$)/.exec(text) ?? [];
  return major === undefined ? undefined : { major: Number(major), minor: Number(minor) };
}

export function isTooOld({ major, minor }: MpvVersion): boolean {
  return major === OLDEST_MPV.major && minor < OLDEST_MPV.minor;
}
