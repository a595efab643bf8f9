/** Smaller parts of statements: .WRITE, IDENTITY() of SELECT INTO, TABLESAMPLE, $ROWGUID, NEWSEQUENTIALID. */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type Client, start } from "./client.ts";

let sql: Client;
before(async () => {
  ({ sql } = await start());
  await sql.run("CREATE TABLE n (id int PRIMARY KEY, name nvarchar(10)); INSERT n VALUES (1, N'b'), (2, N'a')");
});

describe("UPDATE … SET column.WRITE", () => {
  // https://learn.microsoft.com/sql/t-sql/queries/update-transact-sql#examples
  test("puts text in, at the end too, and cuts it off", async () => {
    await sql.run(
      "CREATE TABLE doc (id int, t nvarchar(max), b varbinary(max)); INSERT doc VALUES (1, N'Reflectors are vital components.', 0x010203)",
    );
    const written = async (set: string) => {
      await sql.run(`BEGIN TRAN; UPDATE doc SET ${set}`);
      const [row] = await sql.rows("SELECT t, b FROM doc; ROLLBACK");
      return row;
    };
    assert.deepEqual(await written("t.WRITE (N'vital and cheap', 15, 5)"), [
      "Reflectors are vital and cheap components.",
      "0x010203",
    ]);
    assert.deepEqual(
      (await written("t.WRITE (N' Appended.', NULL, 0)"))![0],
      "Reflectors are vital components. Appended.",
    );
    assert.deepEqual((await written("t.WRITE (NULL, 10, 0)"))![0], "Reflectors");
    assert.deepEqual(await written("t.WRITE (N'!', 10, NULL), b.WRITE(0xFF, 1, 1)"), ["Reflectors!", "0x01ff03"]);
    assert.equal(await sql.error("UPDATE doc SET t.WRITE (N'x', 1000, 0)"), 7116);
    assert.equal(await sql.error("UPDATE n SET name.WRITE (N'x', 0, 0)"), 258);
  });
});

describe("SELECT", () => {
  // https://learn.microsoft.com/sql/t-sql/functions/identity-function-transact-sql
  test("INTO numbers the rows by IDENTITY()", async () => {
    await sql.run("SELECT IDENTITY(smallint, 100, 1) AS job_num, id AS emp, name INTO NewTable FROM n ORDER BY name");
    const { sets } = await sql.run("SELECT job_num, name FROM NewTable ORDER BY job_num");
    assert.deepEqual(sets[0]!.columns[0], {
      name: "job_num",
      type: { id: "smallint" },
      nullable: false,
      identity: true,
    });
    assert.deepEqual(sets[0]!.rows, [
      [100, "a"],
      [101, "b"],
    ]);
    await sql.run("INSERT NewTable (emp, name) VALUES (3, N'c')");
    assert.deepEqual(await sql.rows("SELECT MAX(job_num) FROM NewTable"), [[102]]);
  });

  test("TABLESAMPLE takes whole pages: all of them, or none of a small table's", async () => {
    await sql.run("SELECT value AS v INTO many FROM GENERATE_SERIES(1, 5000)");
    const count = async (sample: string) =>
      (await sql.rows(`SELECT COUNT(*) FROM many TABLESAMPLE ${sample}`))[0]![0] as number;
    assert.equal(await count("(100 PERCENT)"), 5000);
    assert.equal(await count("(0)"), 0);
    const half = await count("SYSTEM (50 PERCENT) REPEATABLE (7)");
    assert.ok(half > 0 && half < 5000 && half % 100 === 0, String(half));
    assert.equal(await count("SYSTEM (50 PERCENT) REPEATABLE (7)"), half);
    assert.ok([0, 2].includes((await sql.rows("SELECT COUNT(*) FROM n TABLESAMPLE (1 ROWS)"))[0]![0] as number));
    assert.equal(await sql.error("SELECT * FROM many TABLESAMPLE (101 PERCENT)"), 476);
  });
});

describe("row GUIDs", () => {
  test("NEWSEQUENTIALID() is a default alone, and each is greater than the last; $ROWGUID is the column", async () => {
    await sql.run(
      "CREATE TABLE g (id uniqueidentifier ROWGUIDCOL NOT NULL DEFAULT NEWSEQUENTIALID(), x int); INSERT g (x) VALUES (1), (2), (3)",
    );
    const { sets } = await sql.run("SELECT $ROWGUID FROM g ORDER BY x");
    assert.equal(sets[0]!.columns[0]!.name, "id");
    const made = sets[0]!.rows.flat() as string[];
    assert.equal(new Set(made).size, 3);
    assert.deepEqual([...made].sort(), made);
    assert.equal(await sql.error("SELECT NEWSEQUENTIALID()"), 302);
    assert.equal(await sql.error("SELECT $ROWGUID FROM n"), 207);
  });
});
