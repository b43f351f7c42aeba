import { always, ends, plays, type TracksJson } from "./track.ts";

export const redirects: TracksJson = {
  "redirect-302": plays("302 to another path", always({ redirect: {} })),
  "redirect-307": plays("307 to another path", always({ redirect: { status: 307 } })),
  "redirect-308": plays("308 to another path", always({ redirect: { status: 308 } })),
  "redirect-chain": plays("five redirects in a row", always({ redirect: { chain: 5 } })),
  "redirect-chain-6": ends("upstream-failed", "six redirects in a row", always({ redirect: { chain: 6 } })),
  "redirect-loop": ends("upstream-failed", "redirects without end", always({ redirect: { loop: true } })),
  "redirect-elsewhere": ends(
    "upstream-failed",
    "302 to another port each time (plays with --allow-private)",
    always({ redirect: { to: "elsewhere" } }),
  ),
  "redirect-link-local": ends(
    "upstream-failed",
    "302 to http://169.254.169.254/",
    always({ redirect: { to: "http://169.254.169.254/" } }),
  ),
};
