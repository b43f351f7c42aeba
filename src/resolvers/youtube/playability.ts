import { AfterbayError } from "../../errors.ts";
import { presentable } from "../user-error.ts";
import type { Lack } from "./formats.ts";

/** Why YouTube does not let a client play a track. */
export interface Refusal {
  readonly error: AfterbayError;
  /** What it is true of: the first of these helps a listener most. */
  readonly about: About;
  /** Another client will be told the same: none is asked. */
  readonly final: boolean;
}

type About = "track" | "network" | "client";
const TELLING: readonly About[] = ["track", "network", "client"];

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
    return elsewhere("client", "YouTube wants another app: name newer versions in youtube?clients=", words);
  if (says(/private/i)) return final("This video is private: only those whom its owner invited can play it");
  if (says(/not a (?:bot|robot)|unusual traffic|captcha/i)) return ROBOT;
  if (/^AGE|CONTENT_CHECK/.test(status) || says(/your age|age.restricted|inappropriate for some/i)) return AGE;
  if (says(/in (?:your|this) country|in your (?:region|location)|country restriction/i)) return REGION;
  if (says(/members.only|join this channel/i)) return final("Only members of its channel can play this video");
  if (says(/payment|purchase|to rent|to buy|premium/i)) return final("This video has to be paid for");
  if (says(/removed|terminated|no longer available|isn.t available any ?more|deleted|copyright/i)) return REMOVED;
  if (status === "ERROR") return NOT_FOUND;
  if (status === "LOGIN_REQUIRED") {
    return elsewhere(
      "track",
      "YouTube wants a login, which Afterbay does not have; other clients in youtube?clients= may do without",
      words,
    );
  }
  return elsewhere("track", "YouTube does not let this video play", words);
}

export const LIVE = final("This is a live stream, or has not begun: it can be played when it is over");

export const OTHER_VIDEO: Refusal = {
  error: new AfterbayError("upstream-failed", "YouTube answered for another video; nothing of it was used"),
  about: "client",
  final: false,
};

const REGION = final("This video is not available in this country; it plays from a network in another one");
const REMOVED = final("This video was removed; look for another one of the same song");
const AGE = elsewhere(
  "track",
  "This video is for adults, and YouTube wants a login to prove it, which Afterbay does not have; some clients in youtube?clients= do without",
);
const NOT_FOUND: Refusal = {
  error: new AfterbayError("not-found", "YouTube has no such video: look at the id again"),
  about: "track",
  final: true,
};
const ROBOT: Refusal = {
  error: new AfterbayError(
    "busy",
    "YouTube takes this network for a robot: wait some hours, use another network, or name other clients in youtube?clients=",
    { retryAfterMs: ROBOT_MS },
  ),
  about: "network",
  final: false,
};

/** What to say where an answer lets the track play, but has nothing to play. */
export const LACKS: Readonly<Record<Lack, Refusal>> = {
  drm: elsewhere("track", "This track is protected by DRM; Afterbay plays only what is not"),
  sabr: elsewhere(
    "client",
    "YouTube gives these clients this track by its SABR protocol alone, which Afterbay does not speak: name another client first in youtube?clients=",
  ),
  live: LIVE,
  nothing: elsewhere("client", "YouTube gives these clients no sound for this video: name others in youtube?clients="),
};

function final(message: string): Refusal {
  return { error: new AfterbayError("unplayable", message), about: "track", final: true };
}

function elsewhere(about: About, message: string, words = ""): Refusal {
  const said = presentable(words);
  const error = new AfterbayError("unplayable", said === "" ? message : `${message} (${said})`);
  return { error, about, final: false };
}

/** Of what several clients were refused for, what helps a listener most; of equals, what the first was told. */
export function mostTelling(refusals: readonly Refusal[]): AfterbayError {
  const [first] = refusals.toSorted((a, b) => TELLING.indexOf(a.about) - TELLING.indexOf(b.about));
  return first?.error ?? new AfterbayError("upstream-failed", "YouTube gave no answer");
}
