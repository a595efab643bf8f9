/** docs/simulator.md: its examples run, what it says can be done can, and what it says cannot answers with 40510. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { folder } from "./persistence/folder.ts";

const page = readFileSync(new URL("../../docs/simulator.md", import.meta.url), "utf8");

/** The code blocks of a language under a heading. */
function blocks(language: string, heading: string): string[] {
  const section = page.split(/^##+ /m).find((each) => each.startsWith(`${heading}\n`));
  assert.ok(section, `docs/simulator.md has no section ${heading}`);
  const found = [...section.matchAll(/```(\w+)\n(.*?)```/gs)].filter(([, name]) => name === language);
  assert.ok(found.length > 0, `${heading} has no example in ${language}`);
  return found.map(([, , code]) => code!);
}

const EXAMPLES: [heading: string, prints: string][] = [
  ["In a test", "[ [ 2, 1, 'Diana' ] ]\n"],
  ["Capture and time", "1\n1\n"],
  ["Change tables of millions of rows", "6666667 50000\n"],
  ["Faults", ""],
];
for (const [heading, prints] of EXAMPLES)
  test(`the example under "${heading}" runs, and prints what it says`, async (t) => {
    const [code] = blocks("ts", heading);
    const path = join(folder(t), "example.ts");
    const simulator = new URL("../../simulator/index.ts", import.meta.url).href;
    writeFileSync(path, code!.replace('"dstream/simulator"', JSON.stringify(simulator)));
    const flags = ["--disable-warning=ExperimentalWarning", "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON"];
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, path]);
    assert.equal(stdout, prints);
  });

async function database(t: { after(work: () => Promise<void>): void }): Promise<SqlServerSimulator> {
  const simulator = await SqlServerSimulator.start({ databases: ["TestDB"], captureInterval: "immediate" });
  t.after(() => simulator.close());
  return simulator;
}

test("every statement of what it can do runs", async (t) => {
  const simulator = await database(t);
  for (const statement of blocks("sql", "What it can do")[0]!.trim().split("\n"))
    await assert.doesNotReject(simulator.query(statement), statement);
});

test("every statement of what it cannot do answers with error 40510", async (t) => {
  const simulator = await database(t);
  await simulator.query("CREATE SCHEMA sales");
  await simulator.query("CREATE TABLE sales.orders (id int, total int)");
  for (const statement of blocks("sql", "What it cannot do")[0]!.trim().split("\n"))
    await assert.rejects(simulator.query(statement), { number: 40510 }, statement);
});

test("the faults in T-SQL run", async (t) => {
  const simulator = await database(t);
  await simulator.query(blocks("sql", "Faults")[0]!);
});
