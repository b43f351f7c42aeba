import { AfterbayError, type ErrorCode } from "../../errors.ts";
import { REFUSED } from "./guard.ts";

/** What yt-dlp's words mean; the first that fits counts. */
type Meaning = readonly [pattern: RegExp, code: ErrorCode, message: string, retryAfterMs?: number];

/** A robot check lasts for hours; players should not ask every few seconds. */
const ROBOT_MS = 300_000;
const LIMITED_MS = 60_000;

const MEANINGS: readonly Meaning[] = [
  [
    new RegExp(REFUSED),
    "upstream-failed",
    "This link leads to a private address, where yt-dlp may not go; --allow-private lets it",
  ],
  [
    /not a (?:bot|robot)|unusual traffic|captcha/i,
    "busy",
    "The site takes this network for a robot: wait some hours, or use another network",
    ROBOT_MS,
  ],
  [/HTTP Error 429|too many requests/i, "busy", "The site limits requests from this network (429): wait", LIMITED_MS],
  [
    /is not a valid URL|Unsupported URL|HTTP Error (?:404|410)|Incomplete YouTube ID/i,
    "not-found",
    "There is no such track, or yt-dlp knows nothing that could play there",
  ],
  [
    /is private|private (?:video|track|playlist)|members.only|join this channel/i,
    "unplayable",
    "This track is private, or for members only",
  ],
  [/DRM/, "unplayable", "This track is protected by DRM; Afterbay plays only what is not"],
  [/payment|purchase|to rent|to buy|premium|subscri/i, "unplayable", "This track has to be paid for"],
  [
    /(?:in|from) your (?:country|region|location)|geo.?(?:restrict|block)/i,
    "unplayable",
    "This track is not available in this country; it plays from a network in another one",
  ],
  [
    /live (?:event|stream)|premieres? in|will begin in|is not currently live|is offline/i,
    "unplayable",
    "This is a live stream, or has not begun: it can be played when it is over",
  ],
  [
    /your age|age.restricted|inappropriate for some|login|log in|sign in|logged in|cookies|account/i,
    "unplayable",
    "The site wants a login for this track, which Afterbay does not have",
  ],
  [
    /removed|terminated|no longer available|deleted|copyright|not available/i,
    "unplayable",
    "This track was removed, or is not available",
  ],
  [/video unavailable|does not exist|not found/i, "not-found", "There is no such track"],
  [
    /format is not available|no (?:video|audio) formats|no (?:video|media) (?:found|could be found)/i,
    "unplayable",
    "yt-dlp finds no sound at this link",
  ],
  [/HTTP Error (?:401|403)/i, "upstream-failed", "The site refuses yt-dlp (403): a newer yt-dlp may help (yt-dlp -U)"],
  [
    /name resolution|name or service not known|nodename nor servname|getaddrinfo|network is unreachable|no route to host/i,
    "unreachable",
    "The site cannot be reached",
  ],
  [/HTTP Error (?:408|5\d\d)/i, "transient", "The site failed"],
  [
    /timed out|timeout|connection (?:refused|reset|aborted)|remote end closed|incompleteread|unable to connect|failed to establish|transporterror|ssl:/i,
    "transient",
    "The connection to the site failed",
  ],
];

/** What an option that this program does not know makes it say. */
export function isTooOld(stderr: string): boolean {
  return /no such option/i.test(stderr);
}

/** What a failure of yt-dlp's means. Nothing of its words is quoted: they hold addresses, and may hold more. */
export function failureOf(stderr: string): AfterbayError {
  const words = stderr
    .split("\n")
    .filter((line) => line.startsWith("ERROR"))
    // What is said of whom, and addresses: an id may hold any word.
    .map((line) => line.replace(/^ERROR: (?:\[[^\]]*\] )?(?:\S+: )?/, "").replace(/[a-z]+:\/\/\S*|'[^']*'/gi, ""))
    .join("\n");
  for (const [pattern, code, message, retryAfterMs] of MEANINGS) {
    if (pattern.test(words))
      return new AfterbayError(code, message, retryAfterMs === undefined ? {} : { retryAfterMs });
  }
  return new AfterbayError(
    "upstream-failed",
    "yt-dlp failed, for a reason that Afterbay does not know; a newer yt-dlp may help (yt-dlp -U)",
  );
}
