import type { CommandSpec } from "../command.ts";
import { clear } from "./clear.ts";
import { evict } from "./evict.ts";
import { exportTrack } from "./export.ts";
import { importFiles } from "./import.ts";
import { ls } from "./ls.ts";
import { path } from "./path.ts";
import { pin } from "./pin.ts";
import { rm } from "./rm.ts";
import { show } from "./show.ts";
import { unpin } from "./unpin.ts";
import { verify } from "./verify.ts";

/** What stands behind `afterbay cache`, in the order of its help. */
export const cacheCommands: readonly CommandSpec[] = [
  ls,
  show,
  pin,
  unpin,
  rm,
  clear,
  verify,
  exportTrack,
  importFiles,
  evict,
  path,
];
