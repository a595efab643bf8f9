/** `npm run build`: the publishable dist/, since Node strips no types under node_modules. */
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, globSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
execFileSync(join(root, "node_modules", ".bin", "tsc"), ["--project", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
for (const file of globSync("{src,simulator}/**/*.{wasm,json,LICENSE}", { cwd: root }))
  cpSync(join(root, file), join(dist, file));
for (const bin of ["main.js", "ingester-mssql.js"]) chmodSync(join(dist, "src", "cli", bin), 0o755);
