import assert from "node:assert/strict";
import { test } from "node:test";
import { parseConnectionString } from "../../../src/sources/sqlserver/connection-string.ts";
import { SqlServerSource } from "../../../src/sources/sqlserver/source.ts";
import { silent } from "../../../src/telemetry/logger.ts";
import { pattern, World } from "./world.ts";

async function findings(world: World, tables: string[], checkpointTable?: string): Promise<string[]> {
  const found = await world.source(tables).check({ checkpointTable });
  return found.map(
    ({ severity, subject, message, fix }) => `${severity} ${subject}: ${message}${fix ? ` | ${fix}` : ""}`,
  );
}

function has(found: string[], expected: RegExp): void {
  assert.ok(
    found.some((line) => expected.test(line)),
    `${expected} in\n${found.join("\n")}`,
  );
}

test("a database in order has no errors and no warnings", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  const found = await findings(world, ["Persons"], "cdc_offsets");
  assert.deepEqual(
    found.filter((line) => /^(error|warning)/.test(line)),
    [],
  );
  has(found, /^ok table dbo\.Persons: /);
  has(found, /^ok checkpoint table cdc_offsets: It will be made/);
});

test("a server that cannot be reached, and a wrong password", async () => {
  await using world = await World.open();
  const check = (url: string) =>
    new SqlServerSource({ target: parseConnectionString(url), tables: [], ingestQueue: "q", logger: silent }).check();
  const [unreachable] = await check("sqlserver://sa:x@127.0.0.1:1?database=TestDB&encrypt=false");
  assert.deepEqual([unreachable!.severity, unreachable!.subject], ["error", "server 127.0.0.1:1"]);
  const [refused] = await check(`sqlserver://sa:x@${world.simulator.address}?database=TestDB&encrypt=false`);
  assert.match(refused!.message, /Login failed/);
});

test("change data capture that is off, on the database or on a table, comes with the statement that switches it on", async () => {
  await using world = await World.open();
  await world.sql("CREATE TABLE dbo.Cars (id int NOT NULL PRIMARY KEY)");
  has(
    await findings(world, ["Cars"]),
    /^error table dbo\.Cars: It is not under change data capture.* EXEC sys\.sp_cdc_enable_table .*N'Cars'/,
  );
  has(await findings(world, ["Casr"]), /^error table Casr: .*Did you mean dbo\.Cars\?/);
  await world.sql("EXEC sys.sp_cdc_disable_db");
  has(
    await findings(world, ["Cars"]),
    /^error database TestDB: Change data capture is off.* EXEC sys\.sp_cdc_enable_db/,
  );
});

test("what change data capture does not show by itself is warned about", async () => {
  await using world = await World.open();
  await world.sql(
    "CREATE TABLE dbo.T (id int NOT NULL, name varchar(20) COLLATE Greek_CI_AS NULL, " +
      "card varchar(20) MASKED WITH (FUNCTION = 'default()') NULL, note nvarchar(max) NULL)",
  );
  await world.capture("T");
  const found = await findings(world, ["T"]);
  has(found, /^warning table dbo\.T: .*collation.*name \(Greek_CI_AS\)/);
  has(found, /^warning table dbo\.T: .*65536 bytes to note.*max text repl size/);
  has(found, /^info table dbo\.T: It has no primary key/);
});

test("a retention of a few hours, two instances, a stopped capture job", async () => {
  let now = Date.parse("2026-11-21T10:00:00Z");
  await using world = await World.open({ clock: () => new Date(now) });
  await world.persons();
  await world.sql("INSERT INTO Persons VALUES (1, N'a', NULL)");
  await world.capture("Persons", ", @capture_instance = N'dbo_Persons_v2'");
  await world.sql("EXEC sys.sp_cdc_change_job @job_type = N'cleanup', @retention = 120");
  world.cdc.stop();
  now += 3_600_000;
  const found = await findings(world, ["Persons"]);
  has(found, /^warning clean-up job: Changes are kept for 120 minutes/);
  has(found, /^info table dbo\.Persons: It has two capture instances: dbo_Persons .*dbo_Persons_v2/);
  has(found, /^warning capture job: It has captured nothing since 2026-11-21 10:00/);
});

test("a reader outside of the gating role is told to be made a member", async () => {
  await using world = await World.open();
  await world.sql("CREATE TABLE dbo.Persons (ID int NOT NULL PRIMARY KEY)");
  await world.sql(
    "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'Persons', @role_name = N'cdc_reader'",
  );
  await world.sql("CREATE LOGIN reader WITH PASSWORD = N'Reader!123'; CREATE USER reader FOR LOGIN reader");
  await world.sql("GRANT SELECT ON SCHEMA::cdc TO reader; GRANT SELECT ON dbo.Persons TO reader");
  const target = parseConnectionString(
    `sqlserver://reader:Reader!123@${world.simulator.address}?database=TestDB&encrypt=false`,
  );
  const options = { tables: [pattern("Persons")], ingestQueue: "q", logger: silent };
  const lines = async () => {
    const source = new SqlServerSource({ target, ...options });
    const found = await source.check();
    await source.close();
    return found.map(({ severity, subject, message, fix }) => `${severity} ${subject}: ${message} | ${fix}`);
  };
  has(
    await lines(),
    /^error table dbo\.Persons: reader is not in cdc_reader.*ALTER ROLE \[cdc_reader\] ADD MEMBER \[reader\]/,
  );
  await world.sql("ALTER ROLE cdc_reader ADD MEMBER reader");
  has(await lines(), /^ok table dbo\.Persons/);
});

test("a reader that lacks permissions is told the GRANTs", async () => {
  await using world = await World.open();
  await world.persons();
  await world.sql("CREATE LOGIN reader WITH PASSWORD = N'Reader!123'; CREATE USER reader FOR LOGIN reader");
  const target = parseConnectionString(
    `sqlserver://reader:Reader!123@${world.simulator.address}?database=TestDB&encrypt=false`,
  );
  const lines = async () => {
    const source = new SqlServerSource({ target, tables: [pattern("Persons")], ingestQueue: "q", logger: silent });
    const found = await source.check({ checkpointTable: "cdc_offsets" });
    await source.close();
    return found.map(({ severity, subject, message, fix }) => `${severity} ${subject}: ${message} | ${fix}`);
  };
  has(await lines(), /^error database TestDB: .*GRANT SELECT ON SCHEMA::cdc TO \[reader\]/);
  await world.sql("GRANT SELECT ON SCHEMA::cdc TO reader; GRANT SELECT ON dbo.Persons TO reader");
  const found = await lines();
  has(
    found,
    /^error checkpoint table cdc_offsets: .*CREATE TABLE \[dbo\]\.\[cdc_offsets\].*GRANT SELECT, INSERT, UPDATE ON/,
  );
  has(found, /^ok table dbo\.Persons/);
  await world.sql("ALTER TABLE dbo.Persons ALTER COLUMN LastName ADD MASKED WITH (FUNCTION = 'default()')");
  has(await lines(), /^warning table dbo\.Persons: reader gets masked values for LastName.*GRANT UNMASK TO \[reader\]/);
});
