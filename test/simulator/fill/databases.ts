/** Two databases with the same rows in a change table: in one they were filled in, in the other inserted one by one. */
import assert from "node:assert/strict";
import { type Fill, SqlServerSimulator } from "../../../simulator/index.ts";
import { shown } from "../engine/client.ts";

export const SOURCE = `
  CREATE TABLE dbo.Goods (
    id int NOT NULL PRIMARY KEY, name nvarchar(30), price decimal(18, 4), weight float, sold datetime2(3), code varchar(10),
    notes nvarchar(max), picture varbinary(20), flag bit, doubled AS (id * 2)
  );`;
export const ENABLE = "EXEC sys.sp_cdc_enable_db; EXEC sys.sp_cdc_enable_table N'dbo', N'Goods', @role_name = NULL;";
export const VALUES = `
  INSERT INTO dbo.Goods (id, name, price, weight, sold, code, notes, picture, flag) VALUES
    (1, N'Čaj', 12.5, 0.25, '2024-02-29T12:34:56.789', 'tea', N'a long story', 0x0102, 1),
    (2, N'', -0.0001, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, NULL, 99999999999999.9999, -1e300, '0001-01-01', 'x', N'', 0x, 0),
    (4, N'🚀', 0, 0, '9999-12-31T23:59:59.999', 'last', N'a long story', 0xFF, 1);`;

export async function simulator(t: { after(work: () => Promise<void>): void }): Promise<SqlServerSimulator> {
  let now = Date.parse("2026-03-01T10:00:00Z");
  const clock = () => new Date((now += 10));
  const made = await SqlServerSimulator.start({ databases: ["Filled", "Plain"], captureInterval: "immediate", clock });
  t.after(() => made.close());
  return made;
}

export async function rows(of: SqlServerSimulator, database: string, sql: string): Promise<unknown[][]> {
  const result = await of.query(sql, database);
  return result.rows.map((row) => row.map((value, i) => shown(value, result.columns[i]!.type)));
}

/** Database Filled has captured and filled rows; Plain has the same ones, each inserted by itself. */
export async function both(t: { after(work: () => Promise<void>): void }, fill: Fill): Promise<SqlServerSimulator> {
  const made = await simulator(t);
  for (const database of ["Filled", "Plain"]) await made.query(SOURCE + ENABLE, database);
  await made.query(VALUES, "Filled");
  const filled = await made.fillChangeTable("Filled", "dbo_Goods", fill);
  await made.query("UPDATE dbo.Goods SET price = 1 WHERE id < 3", "Filled");
  assert.equal((await rows(made, "Filled", "SELECT * FROM cdc.dbo_Goods_CT")).length, filled.rows + 4 + 4);
  for (const table of ["dbo_Goods_CT", "lsn_time_mapping"])
    await made.query(
      `DELETE FROM Plain.cdc.${table}; INSERT INTO Plain.cdc.${table} SELECT * FROM Filled.cdc.${table};`,
    );
  return made;
}

export const FILL: Fill = {
  changes: 100,
  changesPerTransaction: 7,
  operations: ["insert", "update", "delete"],
  commitTimes: { from: new Date("2026-03-02T00:00:00Z"), to: new Date("2026-03-02T01:00:00Z") },
};
