import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../..", import.meta.url));
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "dstream-pack-"));
});
after(() => rm(folder, { recursive: true, force: true }));

test("the packed tarball, installed without dev dependencies in an empty folder, runs the demo", async () => {
  // prepack builds dist/.
  await run("npm", ["pack", "--pack-destination", folder], { cwd: root });
  const tarball = (await readdir(folder)).find((name) => name.endsWith(".tgz"));
  assert.ok(tarball, "npm pack left no tarball");
  await run("npm", ["init", "--yes"], { cwd: folder });
  await run("npm", ["install", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error", `./${tarball}`], {
    cwd: folder,
  });

  const bin = join(folder, "node_modules", ".bin", "dstream");
  const { stdout, stderr } = await run(bin, ["demo", "--changes", "1000", "--rate", "5000"], {
    cwd: folder,
    timeout: 120_000,
  });
  assert.equal(stdout.trimEnd().split("\n").at(-1), "committed=1000 delivered=1000 lost=0 duplicated=0 reordered=0");
  assert.equal(stderr, "", "a newcomer sees no warnings");
});
