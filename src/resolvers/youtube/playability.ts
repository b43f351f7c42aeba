import { AfterbayError } from "../../errors.ts";
import { presentable } from "../user-error.ts";
import type { Lack } from "./formats.ts";

/** Why YouTube does not let a client play a track. */
export interface Refusal {
  readonly error: AfterbayError;
  /** Another client will be told the same: none is asked. */
  readonly final: boolean;
}

/** What is read of YouTube's own verdict. */
export interface Playability {
  readonly status: string;
  /** YouTube's words, in English since the session is: a sentence, and often a second one. */
  readonly words: string;
}

/** A robot check lasts for hours; players should not ask every few seconds. */
const ROBOT_MS = 300_000;

/** What to say of a verdict; undefined for one that lets the track play. */
export function refusalOf({ status, words }: Playability): Refusal | undefined {
  const says = (pattern: RegExp): boolean => pattern.test(words);
  if (status === "OK") return undefined;
  if (status === "LIVE_STREAM_OFFLINE") return LIVE;
  // A client that YouTube has given up says so in these words, under any status.
  if (says(/this app|this device|latest version|no longer supported/i))
    return elsewhere("YouTube wants another app", words);
  if (says(/private/i)) return final("This video is private: only those whom its owner invited can play it");
  if (says(/not a (?:bot|robot)|unusual traffic|captcha/i)) return ROBOT;
  if (/^AGE|CONTENT_CHECK/.test(status) || says(/your age|age.restricted|inappropriate for some/i)) return AGE;
  if (says(/in (?:your|this) country|in your (?:region|location)|country restriction/i)) return REGION;
  if (says(/members.only|join this channel/i)) return final("Only members of its channel can play this video");
  if (says(/payment|purchase|to rent|to buy|premium/i)) return final("This video has to be paid for");
  if (says(/removed|terminated|no longer available|isn.t available any ?more|deleted|copyright/i)) return REMOVED;
  if (status === "ERROR") return NOT_FOUND;
  if (status === "LOGIN_REQUIRED") return elsewhere("YouTube wants a login, which Afterbay does not have", words);
  return elsewhere("YouTube does not let this video play", words);
}

export const LIVE = final("This is a live stream, or has not begun: it can be played when it is over");

export const OTHER_VIDEO: Refusal = {
  error: new AfterbayError("upstream-failed", "YouTube answered for another video; nothing of it was used"),
  final: false,
};

const REGION = final("This video is not available in this country");
const REMOVED = final("This video was removed");
const AGE = elsewhere("This video is for adults, and YouTube wants a login to prove it, which Afterbay does not have");
const NOT_FOUND: Refusal = {
  error: new AfterbayError("not-found", "YouTube has no such video: look at the id again"),
  final: true,
};
const ROBOT: Refusal = {
  error: new AfterbayError(
    "busy",
    "YouTube takes this network for a robot: wait some hours, use another network, or name other clients in youtube?clients=",
    { retryAfterMs: ROBOT_MS },
  ),
  final: false,
};

/** What to say where an answer lets the track play, but has nothing to play. */
export const LACKS: Readonly<Record<Lack, Refusal>> = {
  drm: elsewhere("This track is protected by DRM; Afterbay plays only what is not"),
  sabr: elsewhere(
    "YouTube gives these clients this track by its SABR protocol alone, which Afterbay does not speak: name another client first in youtube?clients=",
  ),
  live: LIVE,
  nothing: elsewhere("YouTube gives these clients no sound for this video: name others in youtube?clients="),
};

function final(message: string): Refusal {
  return { error: new AfterbayError("unplayable", message), final: true };
}

function elsewhere(message: string, words = ""): Refusal {
  const said = presentable(words);
  return { error: new AfterbayError("unplayable", said === "" ? message : `${message} (${said})`), final: false };
}

/**
 * Of what several clients were refused for, what helps a listener most: what is true of the track before what is true of
 * the network, and both before what is true of a client.
 */
export function mostTelling(errors: readonly AfterbayError[]): AfterbayError {
  const weight = ({ code, message }: AfterbayError): number =>
    code === "upstream-failed" ? 0 : message.includes("clients=") ? 1 : 2;
  const [first] = errors.toSorted((a, b) => weight(b) - weight(a));
  return first ?? new AfterbayError("upstream-failed", "YouTube gave no answer");
}
