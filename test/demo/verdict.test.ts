import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ResultColumn } from "../../simulator/engine/session.ts";
import { Decimal, type SqlType, type Value } from "../../simulator/engine/values.ts";
import type { DemoTable } from "../../src/demo/tables.ts";
import { judge, passed, type ReadRows, type Received, verdictLine } from "../../src/demo/verdict.ts";

const TABLE: DemoTable = { schema: "dbo", table: "Persons", key: "ID", create: "" };
const column = (name: string, type: SqlType): ResultColumn => ({ name, type, nullable: true });
const DATA = [
  column("ID", { id: "bigint" }),
  column("Name", { id: "nvarchar", length: 50 }),
  column("Amount", { id: "decimal", precision: 12, scale: 4 }),
];
const CT = [
  column("__$start_lsn", { id: "binary", length: 10 }),
  column("__$seqval", { id: "binary", length: 10 }),
  column("__$operation", { id: "int" }),
  ...DATA,
  column("__$command_id", { id: "int" }),
];
const lsn = (n: number): Buffer => Buffer.from(n.toString(16).padStart(20, "0"), "hex");

/** Three changes of one table: an insert, another, and an update of the first. */
const CHANGES: Value[][] = [
  [lsn(1), lsn(11), 2, 9007199254740993n, "Zoë", new Decimal(15000n, 4), 1],
  [lsn(1), lsn(12), 2, 2n, null, new Decimal(0n, 4), 1],
  [lsn(2), lsn(21), 3, 9007199254740993n, "Zoë", new Decimal(15000n, 4), 1],
  [lsn(2), lsn(21), 4, 9007199254740993n, "Zoe", new Decimal(15000n, 4), 1],
];
const SOURCE: Value[][] = [
  [9007199254740993n, "Zoe", new Decimal(15000n, 4)],
  [2n, null, new Decimal(0n, 4)],
];
const read: ReadRows = async (sql) =>
  sql.includes("_CT") ? { columns: CT, rows: CHANGES } : { columns: DATA, rows: SOURCE };

function message(at: number, seq: number, operation: number, data: string, id = `${at}-${seq}-${operation}`): Received {
  const metadata = `"LSN":"${lsn(at).toString("hex")}","OperationID":${operation},"TableName":"Persons","Schema":"dbo","CommandID":1,"Seq":"${lsn(seq).toString("hex")}"`;
  return { id, body: `{"data":{${data}},"metadata":{${metadata}}}` };
}
const FIRST = message(1, 11, 2, '"ID":9007199254740993,"Name":"Zoë","Amount":"1.5000"');
const SECOND = message(1, 12, 2, '"ID":2,"Name":null,"Amount":"0.0000"');
const THIRD = message(2, 21, 4, '"ID":9007199254740993,"Name":"Zoe","Amount":"1.5000"');

async function verdictOf(...received: Received[]): Promise<string> {
  const verdict = await judge(received, [TABLE], read);
  return `${verdictLine(verdict, 0)} replayed=${verdict.replayed} passed=${passed(verdict)}`;
}

describe("the demo's verdict", () => {
  test("everything once and in order passes", async () => {
    assert.equal(
      await verdictOf(FIRST, SECOND, THIRD),
      "committed=3 delivered=3 lost=0 duplicated=0 reordered=0 kills=0 repeats=0 replayed=true passed=true",
    );
  });
  test("a missing change is lost, and the replay tells too", async () => {
    assert.equal(
      await verdictOf(FIRST, SECOND),
      "committed=3 delivered=2 lost=1 duplicated=0 reordered=0 kills=0 repeats=0 replayed=false passed=false",
    );
  });
  test("a value that differs in one digit beyond 2^53 is a lost change", async () => {
    const off = message(1, 11, 2, '"ID":9007199254740992,"Name":"Zoë","Amount":"1.5000"');
    assert.match(await verdictOf(off, SECOND, THIRD), /delivered=2 lost=1 .*passed=false/);
  });
  test("a decimal without its scale is a lost change", async () => {
    const off = message(1, 11, 2, '"ID":9007199254740993,"Name":"Zoë","Amount":"1.5"');
    assert.match(await verdictOf(off, SECOND, THIRD), /lost=1 .*passed=false/);
  });
  test("a repeat with the same id is a repeat, not a duplicate", async () => {
    assert.match(
      await verdictOf(FIRST, FIRST, SECOND, THIRD),
      /duplicated=0 reordered=0 kills=0 repeats=1 .*passed=true/,
    );
  });
  test("the same change under another id is a duplicate", async () => {
    const again = { ...FIRST, id: "another" };
    assert.match(await verdictOf(FIRST, SECOND, again, THIRD), /duplicated=1 .*passed=false/);
  });
  test("a change that the change table does not hold counts as duplicated", async () => {
    const invented = message(3, 31, 2, '"ID":3,"Name":null,"Amount":"0.0000"');
    assert.match(await verdictOf(FIRST, SECOND, THIRD, invented), /duplicated=1 .*passed=false/);
  });
  test("a change behind a later one of its table is reordered", async () => {
    assert.match(await verdictOf(SECOND, FIRST, THIRD), /delivered=3 lost=0 duplicated=0 reordered=1 .*passed=false/);
  });
  test("a column that the message leaves out, though the change table holds it, is a lost change", async () => {
    const off = message(1, 12, 2, '"ID":2,"Amount":"0.0000"');
    assert.match(await verdictOf(FIRST, off, THIRD), /lost=1 .*passed=false/);
  });
});
