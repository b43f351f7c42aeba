import { AfterbayError, isAfterbayError } from "../../errors.ts";
import { nameIn } from "../youtube/names.ts";

/** What yt-dlp is asked about. */
export interface Page {
  /** http or https, written anew: it begins with no dash and holds no space. */
  readonly url: string;
  /** A video of YouTube's, whose formats have numbers that are known. */
  readonly isYouTube: boolean;
}

/**
 * The page that an id names: a YouTube id of 11 characters, or an http or https link to anywhere. Throws `not-found` for
 * anything else, what yt-dlp would take for a search, a file or an option among it.
 */
export function pageOf(id: string): Page {
  const video = videoOf(id);
  if (video !== undefined) return { url: `https://www.youtube.com/watch?v=${video}`, isYouTube: true };
  // URL parsers drop spaces and control characters silently.
  const isLink = /^https?:\/\/[^\s\p{Cc}]+$/iu.test(id) && URL.canParse(id);
  if (!isLink) throw notFound("An id for yt-dlp is a link (http or https), or a YouTube id of 11 characters");
  const url = new URL(id);
  if (url.username !== "" || url.password !== "") throw notFound("A link with a password in it is no id");
  return { url: url.href, isYouTube: false };
}

/** The one name of what an id names: the video's own at YouTube, else the link. Undefined for what is no id. */
export function canonicalId(id: string): string | undefined {
  try {
    const { url } = pageOf(id);
    return videoOf(id) ?? url;
  } catch (error) {
    if (isAfterbayError(error, "not-found")) return undefined;
    throw error;
  }
}

function videoOf(id: string): string | undefined {
  const named = nameIn(id);
  return named?.kind === "track" ? named.id : undefined;
}

function notFound(message: string): AfterbayError {
  return new AfterbayError("not-found", message);
}
