import { afterEach, beforeEach, describe, it } from "vitest";
import type { DataSpec } from "../../src/data-source/data-source.ts";
import { checks, upstreamChecks } from "./contract/data-source-checks.ts";
import type { DataSourceFixture } from "./contract/data-source-fixture.ts";

export type { DataSourceFixture, UpstreamControl, Wanted } from "./contract/data-source-fixture.ts";

/**
 * Checks an implementation of DataSource against the contract in `src/data-source/data-source.ts`. Every check gets a
 * fixture of its own, which is closed after it; a fixture without an upstream skips the checks that need one.
 */
export function describeDataSourceContract<Spec extends DataSpec>(
  name: string,
  makeFixture: () => Promise<DataSourceFixture<Spec>>,
): void {
  describe(`${name}: the contract of a DataSource`, () => {
    let fixture: DataSourceFixture<Spec>;
    beforeEach(async () => {
      fixture = await makeFixture();
    });
    afterEach(() => fixture.close());

    for (const [title, check] of Object.entries(checks)) it(title, () => check(fixture));
    for (const [title, check] of Object.entries(upstreamChecks)) {
      it(title, (context) => (fixture.upstream ? check(fixture, fixture.upstream) : context.skip("no upstream")));
    }
  });
}
