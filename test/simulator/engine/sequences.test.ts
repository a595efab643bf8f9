/** Sequences and synonyms. https://learn.microsoft.com/sql/relational-databases/sequence-numbers/sequence-numbers */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { installCatalog } from "../../../simulator/catalog/install.ts";
import { type Client, start } from "./client.ts";

let sql: Client;
before(async () => {
  const started = await start();
  installCatalog(started.engine);
  ({ sql } = started);
  await sql.run("CREATE SCHEMA Test");
});

describe("sequences", () => {
  test("numbers go up from the start, and INSERT, SET and a default take them", async () => {
    await sql.run(`CREATE SEQUENCE Test.CountBy1 START WITH 1 INCREMENT BY 1;
      CREATE TABLE Test.Orders (OrderID int PRIMARY KEY, Name varchar(20) NOT NULL, Qty int NOT NULL)`);
    // Example A of the page: https://learn.microsoft.com/sql/relational-databases/sequence-numbers/sequence-numbers#examples
    await sql.run(`INSERT Test.Orders (OrderID, Name, Qty) VALUES (NEXT VALUE FOR Test.CountBy1, 'Tire', 2);
      INSERT Test.Orders (OrderID, Name, Qty) VALUES (NEXT VALUE FOR Test.CountBy1, 'Seat', 1);
      INSERT Test.Orders (OrderID, Name, Qty) VALUES (NEXT VALUE FOR Test.CountBy1, 'Brake', 1)`);
    assert.deepEqual(await sql.rows("SELECT * FROM Test.Orders"), [
      [1, "Tire", 2],
      [2, "Seat", 1],
      [3, "Brake", 1],
    ]);
    assert.deepEqual(
      await sql.rows("DECLARE @NextID int; SET @NextID = NEXT VALUE FOR Test.CountBy1; SELECT @NextID"),
      [[4]],
    );
    await sql.run(`CREATE TABLE Test.Receipts (id bigint PRIMARY KEY DEFAULT (NEXT VALUE FOR Test.CountBy1), d varchar(5));
      INSERT Test.Receipts (d) VALUES ('a'), ('b')`);
    assert.deepEqual(await sql.rows("SELECT id, d FROM Test.Receipts"), [
      [5n, "a"],
      [6n, "b"],
    ]);
    assert.equal(await sql.error("DROP SEQUENCE Test.CountBy1"), 3729);
  });

  test("one row has one number, however often it is asked for; a rolled back one does not come again", async () => {
    await sql.run("CREATE SEQUENCE dbo.s AS smallint START WITH 10");
    const { sets } = await sql.run("SELECT NEXT VALUE FOR s AS a, NEXT VALUE FOR dbo.s AS b FROM Test.Orders");
    assert.equal(sets[0]!.columns[0]!.type.id, "smallint");
    assert.deepEqual(sets[0]!.rows, [
      [10, 10],
      [11, 11],
      [12, 12],
    ]);
    await sql.run("BEGIN TRAN; DECLARE @x int = NEXT VALUE FOR s; ROLLBACK");
    assert.deepEqual(await sql.rows("SELECT NEXT VALUE FOR s"), [[14]]);
    assert.deepEqual(
      await sql.rows("SELECT NEXT VALUE FOR s OVER (ORDER BY Name) AS n, Name FROM Test.Orders ORDER BY Name"),
      [
        [15, "Brake"],
        [16, "Seat"],
        [17, "Tire"],
      ],
    );
  });

  test("the page's example D: it goes round", async () => {
    // https://learn.microsoft.com/sql/t-sql/statements/create-sequence-transact-sql#examples
    await sql.run(
      "CREATE SEQUENCE Test.DecSeq AS decimal(3,0) START WITH 125 INCREMENT BY 25 MINVALUE 100 MAXVALUE 200 CYCLE CACHE 3",
    );
    const taken: unknown[] = [];
    for (let i = 0; i < 6; i++) taken.push((await sql.rows("SELECT NEXT VALUE FOR Test.DecSeq"))[0]![0]);
    assert.deepEqual(taken, ["125", "150", "175", "200", "100", "125"]);
    assert.deepEqual(
      await sql.rows(
        "SELECT cache_size, current_value, is_cycling, is_exhausted, last_used_value FROM sys.sequences WHERE name = 'DecSeq'",
      ),
      [[3, "125", true, false, "125"]],
    );
  });

  test("it ends where it does not cycle, until it is restarted", async () => {
    await sql.run("CREATE SEQUENCE dbo.short AS tinyint START WITH 254");
    await sql.run("SELECT NEXT VALUE FOR dbo.short; SELECT NEXT VALUE FOR dbo.short");
    assert.equal(await sql.error("SELECT NEXT VALUE FOR dbo.short"), 11728);
    await sql.run("ALTER SEQUENCE dbo.short RESTART WITH 7 INCREMENT BY 2");
    assert.deepEqual(
      (await sql.run("SELECT NEXT VALUE FOR dbo.short; SELECT NEXT VALUE FOR dbo.short")).sets.map(({ rows }) => rows),
      [[[7]], [[9]]],
    );
    assert.equal(await sql.error("CREATE SEQUENCE dbo.no INCREMENT BY 0"), 11700);
    assert.equal(await sql.error("CREATE SEQUENCE dbo.no AS tinyint MAXVALUE 300"), 11708);
    assert.equal(await sql.error("CREATE SEQUENCE dbo.no AS date"), 11702);
    assert.equal(await sql.error("CREATE SEQUENCE dbo.no START WITH 5 MINVALUE 10"), 11703);
    assert.equal(await sql.error("ALTER SEQUENCE dbo.short AS int"), 11711);
  });

  test("a range at once, with the outputs of the page's example B", async () => {
    // https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-sequence-get-range-transact-sql#examples
    await sql.run(
      `CREATE SEQUENCE Test.RangeSeq AS INT START WITH 1 INCREMENT BY 1 MINVALUE 1 MAXVALUE 25 CYCLE CACHE 10`,
    );
    const range = (size: number) =>
      sql.rows(`DECLARE @FirstSeqNum SQL_VARIANT, @LastSeqNum SQL_VARIANT, @CycleCount INT, @SeqIncr SQL_VARIANT, @SeqMinVal SQL_VARIANT, @SeqMaxVal SQL_VARIANT;
        EXEC sys.sp_sequence_get_range @sequence_name = N'Test.RangeSeq', @range_size = ${size},
          @range_first_value = @FirstSeqNum OUTPUT, @range_last_value = @LastSeqNum OUTPUT, @range_cycle_count = @CycleCount OUTPUT,
          @sequence_increment = @SeqIncr OUTPUT, @sequence_min_value = @SeqMinVal OUTPUT, @sequence_max_value = @SeqMaxVal OUTPUT;
        SELECT @FirstSeqNum, @LastSeqNum, @CycleCount, @SeqIncr, @SeqMinVal, @SeqMaxVal`);
    await range(4);
    assert.deepEqual(await range(5), [[5, 9, 0, 1, 1, 25]]);
    assert.deepEqual(await range(20), [[10, 4, 1, 1, 1, 25]]);
    assert.deepEqual(await sql.rows("SELECT NEXT VALUE FOR Test.RangeSeq"), [[5]]);
  });

  test("it has no place where the number of rows is not certain", async () => {
    assert.equal(await sql.error("SELECT * FROM (SELECT NEXT VALUE FOR s AS n) d"), 11719);
    assert.equal(await sql.error("SELECT 1 FROM Test.Orders WHERE Qty = NEXT VALUE FOR s"), 11720);
    assert.equal(await sql.error("SELECT DISTINCT NEXT VALUE FOR s FROM Test.Orders"), 11721);
    assert.equal(await sql.error("SELECT NEXT VALUE FOR s FROM Test.Orders ORDER BY Name"), 11723);
    assert.equal(await sql.error("SELECT TOP (1) NEXT VALUE FOR s FROM Test.Orders"), 11739);
    assert.equal(await sql.error("SELECT CASE WHEN 1 = 1 THEN NEXT VALUE FOR s END"), 11741);
    assert.equal(await sql.error("SELECT NEXT VALUE FOR nothing"), 208);
  });
});

describe("synonyms", () => {
  test("one stands for a table, a procedure or a function", async () => {
    await sql.run("CREATE TABLE t (id int); INSERT t VALUES (1); CREATE SYNONYM Test.other FOR dbo.t");
    await sql.run("UPDATE Test.other SET id += 1; INSERT Test.other VALUES (5)");
    assert.deepEqual(await sql.rows("SELECT other.id FROM Test.other ORDER BY id DESC"), [[5], [2]]);
    await sql.run("CREATE PROCEDURE dbo.p AS SELECT 42");
    await sql.run("CREATE SYNONYM dbo.q FOR Test.dbo.p; CREATE SYNONYM dbo.later FOR dbo.nothing");
    assert.deepEqual(await sql.rows("EXEC q"), [[42]]);
    assert.equal(await sql.error("SELECT * FROM later"), 208);
    assert.deepEqual(await sql.rows("SELECT name, base_object_name FROM sys.synonyms ORDER BY name"), [
      ["later", "[dbo].[nothing]"],
      ["other", "[dbo].[t]"],
      ["q", "[Test].[dbo].[p]"],
    ]);
    await sql.run("DROP SYNONYM dbo.later; DROP SYNONYM IF EXISTS dbo.never");
    assert.equal(await sql.error("CREATE SYNONYM dbo.q FOR dbo.t"), 2714);
  });
});
