import type { DataSource, Expectation, Opened } from "../../data-source/data-source.ts";
import { AfterbayError } from "../../errors.ts";
import type { LocalFile, LocalFiles } from "./local-files.ts";

/** Local files as a DataSource: no URL, no window, no retry, and every opening ranged and of known size and variant. */
export function folderDataSource(files: LocalFiles): DataSource {
  return {
    async open({ id, position, end, expect }, { signal }): Promise<Opened> {
      const file = await files.open(id, { signal });
      if (!agrees(file, expect)) {
        await file[Symbol.asyncDispose]();
        throw new AfterbayError("variant-changed", "The file has changed", { variant: file.variant });
      }
      const { size, contentType, variant } = file;
      let ended = false;
      async function* body(): AsyncGenerator<Uint8Array> {
        yield* file.read(position, end ?? size);
        ended = position < size && (end ?? size) >= size;
      }
      return {
        start: position,
        ranged: true,
        size,
        contentType,
        variant,
        endsCleanly: () => ended,
        body: body(),
        [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
      };
    },
  };
}

function agrees({ variant, size }: LocalFile, expect: Expectation | undefined): boolean {
  return (expect?.variant ?? variant) === variant && (expect?.size ?? size) === size;
}
