import { connections } from "./connections.ts";
import { ranges } from "./ranges.ts";
import { redirects } from "./redirects.ts";
import { resolvers } from "./resolvers.ts";
import { sizes } from "./sizes.ts";
import { statuses } from "./statuses.ts";
import { plays } from "./track.ts";
import { versions } from "./versions.ts";

/** What `afterbay chaos` serves without a script: a track for each fault, as the JSON value of a script. */
export const builtIn: unknown = {
  tracks: {
    plain: plays("nothing"),
    ...statuses,
    ...connections,
    ...ranges,
    ...redirects,
    ...versions,
    ...resolvers,
    ...sizes,
  },
};
