import { hostPort } from "../data-source/addresses.ts";
import { AfterbayError } from "../errors.ts";

/** A URL with `{id}` in it, as `url:` and `webhook:` take one. */
export interface Template {
  /** `host:port` that the user configured. */
  readonly host: string;
  /** For the user and password that stand in the template: they go out as a header, so that no URL carries them. */
  readonly headers: Readonly<Record<string, string>>;
  /** The URL for `id`. Throws `not-found` for an id that would climb to another directory. */
  readonly fill: (id: string) => string;
}

const PLACEHOLDER = "{id}";
/** A path segment that URL parsers resolve away, however it is encoded (URL standard, "double-dot URL path segment"). */
const DOT_SEGMENT = /^(\.|%2e){1,2}$/i;

/**
 * Reads a template: http or https, with `{id}` at least once, and only in path or query, where a percent-encoded id can
 * name no other host. Throws an Error with one line, which quotes nothing: a template may hold a password.
 */
export function parseTemplate(text: string): Template {
  const match = /^(https?):\/\/([^/?#]*)([^#]*)$/i.exec(text);
  if (match === null || /[\s\\\p{Cc}]/u.test(text)) throw new Error("A template is an http or https URL without #");
  const [, scheme = "", authority = "", rest = ""] = match;
  if (!text.includes(PLACEHOLDER)) throw new Error("A template needs {id} where the track's id belongs");
  if (authority.includes(PLACEHOLDER))
    throw new Error("{id} may stand in a template's path and query, not in its host");
  const bare = `${scheme}://${authority.slice(authority.lastIndexOf("@") + 1)}`;
  if (!URL.canParse(text) || !URL.canParse(bare)) throw new Error("A template is an http or https URL with a host");
  const mark = rest.indexOf("?");
  const path = mark === -1 ? rest : rest.slice(0, mark);
  const query = mark === -1 ? "" : rest.slice(mark);

  return {
    host: hostPort(new URL(bare)),
    headers: credentials(new URL(text)),
    fill: (id) => {
      const encoded = encode(id);
      const segments = path.split("/").map((segment) => {
        if (!segment.includes(PLACEHOLDER)) return segment;
        const filled = segment.replaceAll(PLACEHOLDER, encoded);
        if (DOT_SEGMENT.test(filled))
          throw new AfterbayError("not-found", "The source cannot have a track of this name");
        return filled;
      });
      return bare + segments.join("/") + query.replaceAll(PLACEHOLDER, encoded);
    },
  };
}

/** The header for the user and password that stand in a URL, RFC 7617; none without them. */
export function credentials(url: URL): Record<string, string> {
  if (url.username === "" && url.password === "") return {};
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
}

/** Everything outside of RFC 3986's unreserved characters; encodeURIComponent leaves `!'()*` alone. */
function encode(id: string): string {
  return encodeURIComponent(id).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
