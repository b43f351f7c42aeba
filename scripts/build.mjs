// npm run build: compiles src/ to dist/.
import { build } from "./lib/build.mjs";
import { ensureDependencies, fail, say, seconds } from "./lib/setup.mjs";

ensureDependencies();
const started = performance.now();
const result = build();
if (!result.ok) fail("The build failed; see above.", result.output);
say(`Built dist/ in ${seconds(started)}.`);
