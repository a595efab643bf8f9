/** `dstream check`: what it finds, and that doing what it says helps. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import type { SqlServerSimulator } from "../../simulator/index.ts";
import {
  CARS,
  capture,
  configuration,
  type Outcome,
  PERSONS,
  signedInAs,
  startBareServer,
  startServer,
  Workplace,
  workplaceOf,
} from "./dstream.ts";

interface Finding {
  label: string;
  text: string;
  fix: string;
}

/** The table, taken apart again: lines that go on are put back together. */
function findingsOf({ stdout }: Outcome): Finding[] {
  const findings: Finding[] = [];
  let into: "text" | "fix" = "text";
  for (const line of stdout.split("\n\n")[0]!.split("\n")) {
    const [, label, text] = /^(ERROR|WARN|INFO|OK) +(.*)$/.exec(line) ?? [];
    if (label !== undefined) findings.push({ label, text: text!.replaceAll(/ +/g, " "), fix: "" });
    else {
      const fix = /^ {7}fix: (.*)$/.exec(line)?.[1];
      into = fix !== undefined ? "fix" : line.startsWith(" ".repeat(12)) && findings.at(-1)!.fix ? "fix" : "text";
      const last = findings.at(-1)!;
      last[into] = [last[into], fix ?? line.trim()].filter(Boolean).join(" ");
    }
  }
  return findings;
}

function errors(outcome: Outcome): Finding[] {
  return findingsOf(outcome).filter(({ label }) => label === "ERROR");
}

async function everyFix(server: SqlServerSimulator, findings: readonly Finding[]): Promise<void> {
  for (const { fix } of findings) await server.query(fix, "TestDB");
}

test("where everything is ready, each thing is named with OK, and what costs nothing to know with WARN", async (t) => {
  const server = await startServer(t);
  await server.query("INSERT INTO Persons VALUES (1, N'Diana', N'Williams')", "TestDB");
  const place = workplaceOf(t, server);
  const outcome = await place.run("check");
  assert.equal(outcome.code, 0, outcome.stdout);
  assert.equal(outcome.stderr, "");
  assert.deepEqual(errors(outcome), []);
  assert.ok(outcome.stdout.endsWith("\n0 errors, 1 warning\n"), outcome.stdout);
  const subjects = [
    "configuration dstream.hcl",
    `server ${server.address}`,
    "database TestDB",
    "checkpoint table cdc_offsets",
    "capture job",
    "table dbo.Persons",
    "table dbo.Cars",
    "locks \\(embedded\\)",
    "ingest queue \\(embedded\\)",
    "output \\(console\\)",
  ];
  for (const subject of subjects) assert.match(outcome.stdout, new RegExp(`^(OK|WARN) +${subject} `, "m"));
  assert.match(outcome.stdout, /WARN +table dbo\.Cars +The server refuses .*Brand[\s\S]*max text repl size/);
});

test("looking changes nothing: no file, no table, no byte of what is there", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server);
  const tables = async () => (await server.query("SELECT name FROM sys.tables ORDER BY name", "TestDB")).rows;
  const before = await tables();
  await place.run("check");
  assert.deepEqual(readdirSync(place.folder), ["dstream.hcl"]);
  assert.deepEqual(await tables(), before);

  const running = place.start("server");
  await server.query("INSERT INTO Persons VALUES (1, N'Diana', N'Williams')", "TestDB");
  await running.shows(1);
  assert.equal(await running.end(), 0);
  const digests = () =>
    readdirSync(place.path(".dstream")).map((name) => {
      const digest = createHash("sha256").update(readFileSync(place.path(".dstream", name)));
      return `${name} ${digest.digest("hex")}`;
    });
  const files = digests();
  const checkpoints = (await server.query("SELECT * FROM cdc_offsets", "TestDB")).rows;
  assert.equal((await place.run("check")).code, 0);
  assert.deepEqual(digests(), files);
  assert.deepEqual((await server.query("SELECT * FROM cdc_offsets", "TestDB")).rows, checkpoints);
});

test("a server that nobody can reach is named, with what to do", async (t) => {
  const place = new Workplace(t, configuration(), {
    DSTREAM_DB_CONNECTION_STRING: "sqlserver://sa:S3cret@127.0.0.1:1?database=TestDB",
  });
  const outcome = await place.run("check");
  assert.equal(outcome.code, 1);
  const [finding, ...others] = errors(outcome);
  assert.deepEqual(others, []);
  assert.match(finding!.text, /^server 127\.0\.0\.1:1 .*ECONNREFUSED/);
  assert.match(finding!.fix, /whether SQL Server runs.*host and port/);
  assert.doesNotMatch(outcome.stdout + outcome.stderr, /S3cret/);
});

test("a wrong password and a missing database are told apart, and the password stays hidden", async (t) => {
  const server = await startServer(t);
  const wrong = workplaceOf(t, server);
  const missing = new Workplace(t, configuration(), {
    DSTREAM_DB_CONNECTION_STRING: server.connectionStringFor("Elsewhere"),
  });
  const [password, database] = await Promise.all([
    wrong.run("check", signedInAs(server, "sa", "Wr0ng&Secret")),
    missing.run("check"),
  ]);
  assert.equal(password.code, 1);
  assert.match(errors(password)[0]!.text, /Login failed for user 'sa'\. \(error 18456\)/);
  assert.match(errors(password)[0]!.fix, /Check user and password/);
  assert.doesNotMatch(password.stdout + password.stderr, /Wr0ng/);
  assert.equal(database.code, 1);
  assert.match(errors(database)[0]!.text, /Cannot open database "Elsewhere"/);
  assert.match(errors(database)[0]!.fix, /database's name/);
  assert.ok(!(database.stdout + database.stderr).includes(server.password));
});

test("CDC off on the database, then on a table: each printed fix, executed, mends it", async (t) => {
  const server = await startBareServer(t);
  await server.query(PERSONS);
  await server.query(CARS);
  const place = workplaceOf(t, server);

  const off = await place.run("check");
  assert.equal(off.code, 1);
  assert.deepEqual(
    errors(off).map(({ text, fix }) => [text, fix]),
    [["database TestDB Change data capture is off.", "USE [TestDB]; EXEC sys.sp_cdc_enable_db;"]],
  );
  await everyFix(server, errors(off));

  const tables = await place.run("check");
  assert.equal(tables.code, 1);
  assert.deepEqual(
    errors(tables).map(({ text }) => text),
    ["table dbo.Persons It is not under change data capture.", "table dbo.Cars It is not under change data capture."],
  );
  await everyFix(server, errors(tables));
  await server.query("INSERT INTO Persons VALUES (1, N'Diana', N'Williams')", "TestDB");

  const on = await place.run("check");
  assert.equal(on.code, 0, on.stdout);
});

test("a table that is spelt wrongly is guessed", async (t) => {
  const server = await startServer(t);
  const outcome = await workplaceOf(t, server, { tables: ["Persons", "Cras"] }).run("check");
  assert.equal(outcome.code, 1);
  assert.match(errors(outcome)[0]!.text, /^table Cras There is no such table .* Did you mean dbo\.Cars\?$/);
});

async function makeReader(t: TestContext): Promise<{ server: SqlServerSimulator; place: Workplace }> {
  const server = await startBareServer(t);
  for (const sql of [
    PERSONS,
    "EXEC sys.sp_cdc_enable_db",
    capture("Persons").replace("NULL", "N'cdc readers'"),
    "CREATE LOGIN [dstream reader] WITH PASSWORD = N'Gr4nted!'; CREATE USER [dstream reader] FOR LOGIN [dstream reader]",
    "INSERT INTO Persons VALUES (1, N'Diana', N'Williams')",
  ])
    await server.query(sql, "TestDB");
  const place = new Workplace(
    t,
    configuration({ tables: ["Persons"] }),
    signedInAs(server, "dstream reader", "Gr4nted!"),
  );
  return { server, place };
}

test("a login without permissions is led, grant by grant, to one that can run the ingester", async (t) => {
  const { server, place } = await makeReader(t);
  const fixes: string[] = [];
  for (let round = 0; ; round++) {
    const outcome = await place.run("check");
    if (outcome.code === 0) break;
    assert.ok(round < 5, `five rounds of grants were not enough:\n${outcome.stdout}`);
    fixes.push(...errors(outcome).map(({ fix }) => fix));
    await everyFix(server, errors(outcome));
  }
  assert.deepEqual(fixes, [
    "GRANT SELECT ON SCHEMA::cdc TO [dstream reader];",
    fixes[1],
    "ALTER ROLE [cdc readers] ADD MEMBER [dstream reader];",
    "GRANT SELECT ON [dbo].[Persons] TO [dstream reader];",
  ]);
  assert.match(
    fixes[1]!,
    /^CREATE TABLE \[dbo\]\.\[cdc_offsets\] \(.*\); GRANT SELECT, INSERT, UPDATE ON \[dbo\]\.\[cdc_offsets\] TO \[dstream reader\];$/,
  );
  const running = place.start("server");
  const [change] = await running.shows(1);
  assert.equal(change!.data["LastName"], "Williams");
  assert.equal(await running.end(), 0, running.stderr);
});

test("a table that the capture job has not come to yet is a warning, and no matter of permissions", async (t) => {
  const server = await startServer(t);
  await server.query("INSERT INTO Cars VALUES (1, N'Volvo')");
  const high = "SELECT sys.fn_cdc_get_max_lsn()";
  while ((await server.query(high)).rows[0]![0] === null) await new Promise((resolve) => setTimeout(resolve, 10));
  server.cdc("TestDB").stop();
  await server.query("INSERT INTO Cars VALUES (2, N'Saab')");
  await server.query("CREATE TABLE dbo.Houses (ID int NOT NULL PRIMARY KEY)");
  await server.query(capture("Houses"));
  const place = workplaceOf(t, server, { tables: ["Cars", "Houses"] });
  const outcome = await place.run("check");
  assert.equal(outcome.code, 0, outcome.stdout);
  const found = findingsOf(outcome).filter(({ text }) => text.startsWith("table dbo.Houses"));
  assert.deepEqual(found, [
    {
      label: "WARN",
      text: "table dbo.Houses The capture job has not processed dbo_Houses yet.",
      fix: "EXEC sys.sp_cdc_start_job @job_type = N'capture';",
    },
  ]);
  server.cdc("TestDB").start();
});
