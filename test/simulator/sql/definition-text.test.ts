/**
 * Definitions as the catalogue shows them. Expected are: Debezium's samples of sys.default_constraints (SqlServerDefaultValueConverter),
 * constraints and computed columns of AdventureWorks as Management Studio scripts them, and
 * https://dba.stackexchange.com/questions/212047/what-is-this-expression-changing-process
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Statement } from "../../../simulator/sql/ast.ts";
import { one } from "./trees.ts";

function columnOf(text: string) {
  return (one(`CREATE TABLE t (a int, ${text})`) as Statement & { kind: "create_table" }).columns[1]!;
}

const defaults: [written: string, shown: string][] = [
  ["5", "((5))"],
  ["(5)", "((5))"],
  ["-1", "((-1))"],
  ["3147483648", "((3147483648.))"],
  ["100.12345", "((100.12345))"],
  ["1234.5e0", "((1.2345000000000000e+003))"],
  ["'aaa'", "('aaa')"],
  ["'it''s'", "('it''s')"],
  ["N'ü'", "(N'ü')"],
  ["0x0102030405", "(0x0102030405)"],
  ["NULL", "(NULL)"],
  ["GETDATE()", "(getdate())"],
  ["CURRENT_TIMESTAMP", "(getdate())"],
  ["1 + 2", "((1)+(2))"],
  ["CONVERT(date, GetDate())", "(CONVERT([date],getdate()))"],
  ["NEXT VALUE FOR dbo.Numbers", "(NEXT VALUE FOR [dbo].[Numbers])"],
];
for (const [written, shown] of defaults)
  test(`DEFAULT ${written} is shown as ${shown}`, () =>
    assert.equal(columnOf(`b int DEFAULT ${written}`).default!.text, shown));

const computed: [written: string, shown: string][] = [
  ["ISNULL(SubTotal + TaxAmt + Freight, 0)", "(isnull(([SubTotal]+[TaxAmt])+[Freight],(0)))"],
  [
    "ISNULL(UnitPrice * (1.0 - UnitPriceDiscount) * OrderQty, 0.0)",
    "(isnull(([UnitPrice]*((1.0)-[UnitPriceDiscount]))*[OrderQty],(0.0)))",
  ],
  [
    "isnull(N'SO' + CAST(SalesOrderID AS nvarchar(23)), N'*** ERROR ***')",
    "(isnull(N'SO'+CONVERT([nvarchar](23),[SalesOrderID]),N'*** ERROR ***'))",
  ],
  ["case when a > 0 then 1 else 0 end", "(case when [a]>(0) then (1) else (0) end)"],
];
for (const [written, shown] of computed)
  test(`a column computed as ${written} is shown as ${shown}`, () =>
    assert.equal(columnOf(`b AS ${written}`).computed!.text, shown));

const checks: [written: string, shown: string][] = [
  [
    "PostType IN ('Question', 'Answer', 'Comment')",
    "([PostType]='Comment' OR [PostType]='Answer' OR [PostType]='Question')",
  ],
  ["Status BETWEEN 1 AND 3", "([Status]>=(1) AND [Status]<=(3))"],
  [
    "BirthDate >= '1930-01-01' AND BirthDate <= dateadd(year, -18, getdate())",
    "([BirthDate]>='1930-01-01' AND [BirthDate]<=dateadd(year,(-18),getdate()))",
  ],
  ["SellEndDate >= SellStartDate OR SellEndDate IS NULL", "([SellEndDate]>=[SellStartDate] OR [SellEndDate] IS NULL)"],
  ["UPPER(Class) = 'H' OR Class IS NULL", "(upper([Class])='H' OR [Class] IS NULL)"],
  ["[Shelf] like '[A-Za-z]' OR [Shelf] = 'N/A'", "([Shelf] like '[A-Za-z]' OR [Shelf]='N/A')"],
  ["(a = 1 OR a = 2) AND b > 0", "(([a]=(1) OR [a]=(2)) AND [b]>(0))"],
];
for (const [written, shown] of checks)
  test(`CHECK (${written}) is shown as ${shown}`, () => {
    const { constraints } = columnOf(`b int CHECK (${written})`);
    assert.deepEqual(
      constraints.map((constraint) => constraint.kind === "check" && constraint.text),
      [shown],
    );
  });
