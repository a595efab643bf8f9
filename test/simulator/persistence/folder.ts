/** A place for data files that goes with the test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "simulator-data-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}
