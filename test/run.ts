/**
 * Runs the tests: `node test/run.ts` what npm alone can run, `node test/run.ts --all` what takes longer: the suites in folders
 * named long and brokers (the latter start real servers, and are skipped where one is missing). A name or pattern behind it narrows the choice: `npm test -- router`.
 */
import { spawn } from "node:child_process";
import { globSync } from "node:fs";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const long = process.argv.includes("--all");
const filters = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));

const files = globSync("test/**/*.test.ts", { cwd: root })
  .filter((file) => file.split(sep).some((folder) => folder === "long" || folder === "brokers") === long)
  .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
  .sort();
if (files.length === 0) {
  console.error(`No test file under test/ matches ${filters.join(", ")}.`);
  process.exit(1);
}

// Many tests start dstream as a process of its own: compiled once, it starts in two thirds of the time.
const child = spawn(
  process.execPath,
  [
    "--disable-warning=ExperimentalWarning",
    "--test",
    "--test-concurrency=2",
    "--test-reporter=spec",
    `--test-timeout=${long ? 900_000 : 120_000}`,
    ...files,
  ],
  {
    cwd: root,
    stdio: "inherit",
    env: { NODE_COMPILE_CACHE: join(root, "node_modules/.cache/compile"), ...process.env },
  },
);
child.on("exit", (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});
