const NAMES = "token|password|passwd|secret|signature|sig|api-?key|auth|authorization|credentials?";
const ASSIGNED = new RegExp(`\\b((?:[\\w-]*[_-])?(?:${NAMES}))(=|:\\s*)[^\\s&"',;]+`, "gi");

/**
 * Shortens every URL in `text` to its scheme and host, and hides what is assigned to a name that sounds secret:
 * signatures and tokens sit in paths as well as in queries.
 */
export function redactText(text: string): string {
  return text
    .replaceAll(
      /\b([a-z][a-z\d+.-]*:\/\/)(?:[^\s/@?#"'<>]*@)?([^\s/?#"'<>]*)[^\s"'<>]*/gi,
      (url, scheme: string, host: string) => {
        const short = `${scheme}${host}`;
        return short === url ? url : `${short}/…`;
      },
    )
    .replaceAll(/\b(Bearer|Basic)\s+[\w.~+/=-]+/gi, "$1 …")
    .replaceAll(/\b((?:set-)?cookie:)[^\n]*/gi, "$1 …")
    .replaceAll(ASSIGNED, "$1$2…");
}
