/** A table's history does not only go forwards: other columns, gaps, restores, and the version before this one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer, workplaceOf } from "./dstream.ts";

test("a second capture instance with a new column takes over without loss or repeat", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { tables: ["Persons"] });
  const running = place.start("server");
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
  await running.shows(1);
  await server.query("ALTER TABLE Persons ADD Email nvarchar(80) NULL");
  await server.query("INSERT INTO Persons VALUES (2, N'Zoë', N'Novák', N'zoe@example.com')");
  await server.query(
    "EXEC sys.sp_cdc_enable_table N'dbo', N'Persons', @role_name = NULL, @capture_instance = N'persons_with_email'",
  );
  await server.query("INSERT INTO Persons VALUES (3, N'Eve', N'Smith', N'eve@example.com')");
  await server.query("UPDATE Persons SET Email = NULL WHERE ID = 2");
  const changes = await running.shows(4);
  assert.deepEqual(
    changes.map(({ data }) => data),
    [
      { ID: 1, FirstName: "Ana", LastName: "Sato" },
      { ID: 2, FirstName: "Zoë", LastName: "Novák" },
      { ID: 3, FirstName: "Eve", LastName: "Smith", Email: "eve@example.com" },
      { ID: 2, FirstName: "Zoë", LastName: "Novák", Email: null },
    ],
  );
  const { from, to, added } = await running.says(/^Switched to the newer capture instance/);
  assert.deepEqual({ from, to, added }, { from: "dbo_Persons", to: "persons_with_email", added: ["Email"] });
  await server.query("EXEC sys.sp_cdc_disable_table N'dbo', N'Persons', @capture_instance = N'dbo_Persons'");
  await server.query("DELETE FROM Persons WHERE ID = 1");
  await running.shows(5);
  assert.equal(await running.end(), 0);
  assert.equal(running.changes.length, 5);
});

for (const policy of ["fail", "skip"] as const)
  test(`changes that cleanup removed before they were read: on_gap = "${policy}" names both LSNs`, async (t) => {
    const server = await startServer(t);
    const place = workplaceOf(t, server, { ingester: `on_gap = "${policy}"` });
    const first = place.start("server");
    await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
    await first.shows(1);
    assert.equal(await first.end(), 0);
    await server.query("INSERT INTO Persons VALUES (2, N'Zoë', N'Novák')");
    // Transactions of one moment stay or go together.
    const moment = Date.now();
    await until(async () => Date.now() > moment + 10 || undefined);
    await server.query("INSERT INTO Persons VALUES (3, N'Eve', N'Smith')");
    const low = await until(async () => {
      const { rows } = await server.query(
        "SELECT CONVERT(varchar(30), MAX([__$start_lsn]), 2) FROM cdc.dbo_Persons_CT WHERE ID = 3",
      );
      return (rows[0]![0] as string | null)?.toLowerCase();
    });
    await server.query(
      `DECLARE @low binary(10) = 0x${low}; EXEC sys.sp_cdc_cleanup_change_table N'dbo_Persons', @low_water_mark = @low`,
    );
    await server.query("INSERT INTO Cars VALUES (1, N'Volvo')");

    const second = place.start("server");
    const log = await second.says(policy === "fail" ? /dbo\.Persons stops.*gone/ : /are lost: on_gap = "skip" goes on/);
    const lsns = [...JSON.stringify(log).matchAll(/[0-9a-f]{20}/g)].map(([lsn]) => lsn);
    assert.ok(lsns.includes(low) && new Set(lsns).size >= 2, `checkpoint and low watermark ${low}: ${log.msg}`);
    assert.equal(log["table"], "dbo.Persons");
    const expected = policy === "fail" ? ["Cars 1"] : ["Cars 1", "Persons 3"];
    await second.shows(expected.length);
    const shown = second.changes.map(({ data, metadata }) => `${metadata["TableName"]} ${data["ID"] ?? data["CarID"]}`);
    assert.deepEqual(shown.toSorted(), expected);
    if (policy === "fail") {
      assert.equal(log.level, "error");
      assert.match(log["advice"] as string, /on_gap/);
    }
    assert.equal(await second.end(), 0);
  });

test("a database that was restored stops its tables with advice, and delivers nothing in silence", async (t) => {
  const server = await startServer(t);
  const place = workplaceOf(t, server, { tables: ["Persons"] });
  const snapshot = server.snapshot("TestDB");
  const first = place.start("server");
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
  await server.query("INSERT INTO Persons VALUES (2, N'Zoë', N'Novák')");
  await first.shows(2);
  assert.equal(await first.end(), 0);
  const { rows } = await server.query("SELECT table_name, last_lsn, last_seq FROM cdc_offsets");
  assert.equal(rows.length, 1);
  // The checkpoint is kept elsewhere than in the database that is restored, as it is with a file.
  const kept = workplaceOf(t, server, { tables: ["Persons"], ingester: 'checkpoints {\n    type = "file"\n  }' });
  const again = kept.start("server");
  await again.shows(2);
  assert.equal(await again.end(), 0);

  server.restore(snapshot);
  await server.query("INSERT INTO Persons VALUES (9, N'Eve', N'Smith')");
  const second = kept.start("server");
  const log = await second.says(/dbo\.Persons stops/);
  assert.match(log.msg, /restore|history/i);
  assert.ok(log["advice"], "it says what to do");
  assert.equal(await second.end(), 0);
  assert.deepEqual(second.changes, []);
});

test("the Go version's table of offsets is upgraded in place and continued from, with nothing lost", async (t) => {
  const server = await startServer(t);
  await server.query("INSERT INTO Persons VALUES (1, N'Ana', N'Sato')");
  await server.query("INSERT INTO Persons VALUES (2, N'Zoë', N'Novák'), (3, N'Eve', N'Smith')");
  await server.query("INSERT INTO Persons VALUES (4, N'Ana', N'García')");
  await server.query(
    "CREATE TABLE cdc_offsets (table_name NVARCHAR(255) PRIMARY KEY, last_lsn VARBINARY(10), last_seq VARBINARY(10), updated_at DATETIME DEFAULT GETDATE())",
  );
  await until(
    async () => (await server.query("SELECT COUNT(*) FROM cdc.dbo_Persons_CT")).rows[0]![0] === 4 || undefined,
  );
  await server.query(
    `INSERT INTO cdc_offsets (table_name, last_lsn, last_seq)
     SELECT 'Persons', [__$start_lsn], [__$seqval] FROM cdc.dbo_Persons_CT WHERE ID = 2`,
  );
  const place = workplaceOf(t, server, { tables: ["Persons"] });
  assert.match((await place.run("check")).stdout, /OK +checkpoint table cdc_offsets +It will be upgraded in place\./);
  const running = place.start("server");
  await running.shows(3);
  assert.equal(await running.end(), 0);
  // It knew no command ids: the whole transaction of its LSN comes again, and all after it.
  assert.deepEqual(
    running.changes.map(({ data }) => data["ID"]),
    [2, 3, 4],
  );
  const { rows } = await server.query("SELECT table_name, fencing_token FROM cdc_offsets");
  assert.deepEqual(rows, [["Persons", 1n]]);
});

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
