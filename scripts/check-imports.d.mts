/** The imports below `src` that go the wrong way, one line each. */
export function checkImports(src: string): string[];
