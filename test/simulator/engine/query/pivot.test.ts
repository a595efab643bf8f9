/** PIVOT and UNPIVOT: https://learn.microsoft.com/sql/t-sql/queries/from-using-pivot-and-unpivot */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type Client, start } from "../client.ts";

let sql: Client;
before(async () => {
  ({ sql } = await start());
});

describe("PIVOT", () => {
  test("the page's basic example", async () => {
    await sql.run(`CREATE TABLE Product (DaysToManufacture int NOT NULL, StandardCost money NOT NULL);
      INSERT Product VALUES (0, 5.0885), (1, 223.88), (2, 359.1082), (4, 949.4105)`);
    const { sets } = await sql.run(`SELECT 'AverageCost' AS Cost_Sorted_By_Production_Days, [0], [1], [2], [3], [4]
      FROM (SELECT DaysToManufacture, StandardCost FROM Product) AS SourceTable
      PIVOT (AVG(StandardCost) FOR DaysToManufacture IN ([0], [1], [2], [3], [4])) AS PivotTable;`);
    assert.deepEqual(
      sets[0]!.columns.map(({ name, type }) => [name, type.id]),
      [["Cost_Sorted_By_Production_Days", "varchar"], ...["0", "1", "2", "3", "4"].map((name) => [name, "money"])],
    );
    assert.deepEqual(sets[0]!.rows, [["AverageCost", "5.0885", "223.8800", "359.1082", null, "949.4105"]]);
  });

  test("the page's complex example: orders by vendor and employee", async () => {
    await sql.run(`CREATE TABLE PurchaseOrderHeader (PurchaseOrderID int, EmployeeID int, VendorID int);
      INSERT PurchaseOrderHeader VALUES (1, 250, 1492), (2, 250, 1492), (3, 251, 1492), (4, 256, 1494), (5, 999, 1496)`);
    assert.deepEqual(
      await sql.rows(`SELECT VendorID, [250] AS Emp1, [251] AS Emp2, [256] AS Emp3
        FROM (SELECT PurchaseOrderID, EmployeeID, VendorID FROM PurchaseOrderHeader) p
        PIVOT (COUNT (PurchaseOrderID) FOR EmployeeID IN ([250], [251], [256])) AS pvt
        ORDER BY pvt.VendorID`),
      [
        [1492, 2, 1, 0],
        [1494, 0, 0, 1],
        [1496, 0, 0, 0],
      ],
    );
    assert.equal(await sql.error("SELECT * FROM Product PIVOT (SUM(nothing) FOR DaysToManufacture IN ([0])) x"), 207);
  });

  test("text and dates are the heads of columns, and * has the grouping ones first", async () => {
    const { sets } =
      await sql.run(`SELECT * FROM (VALUES ('north', 'q1', 5), ('north', 'q2', 6), ('south', 'Q1', 7), ('south', 'q1', 1)) v (region, quarter, n)
      PIVOT (SUM(n) FOR quarter IN (q1, q2)) AS p ORDER BY region`);
    assert.deepEqual(
      sets[0]!.columns.map(({ name }) => name),
      ["region", "q1", "q2"],
    );
    assert.deepEqual(sets[0]!.rows, [
      ["north", 5, 6],
      ["south", 8, null],
    ]);
    assert.deepEqual(
      await sql.rows(
        `SELECT * FROM (SELECT CAST('2026-01-02' AS date) AS d, 3 AS n) v PIVOT (MAX(n) FOR d IN ([2026-01-02], [2026-01-03])) p`,
      ),
      [[3, null]],
    );
  });
});

describe("UNPIVOT", () => {
  test("the page's example", async () => {
    await sql.run(`CREATE TABLE pvt (VendorID INT, Emp1 INT, Emp2 INT, Emp3 INT, Emp4 INT, Emp5 INT);
      INSERT INTO pvt VALUES (1, 4, 3, 5, 4, 4), (2, 4, 1, 5, 5, 5)`);
    const { sets } = await sql.run(`SELECT VendorID, Employee, Orders
      FROM (SELECT VendorID, Emp1, Emp2, Emp3, Emp4, Emp5 FROM pvt) p
      UNPIVOT (Orders FOR Employee IN (Emp1, Emp2, Emp3, Emp4, Emp5)) AS unpvt;`);
    assert.deepEqual(
      sets[0]!.columns.map(({ type }) => type),
      [{ id: "int" }, { id: "nvarchar", length: 128, collation: "SQL_Latin1_General_CP1_CI_AS" }, { id: "int" }],
    );
    assert.deepEqual(sets[0]!.rows, [
      [1, "Emp1", 4],
      [1, "Emp2", 3],
      [1, "Emp3", 5],
      [1, "Emp4", 4],
      [1, "Emp5", 4],
      [2, "Emp1", 4],
      [2, "Emp2", 1],
      [2, "Emp3", 5],
      [2, "Emp4", 5],
      [2, "Emp5", 5],
    ]);
  });

  test("NULLs go, and the columns must be of one type", async () => {
    assert.deepEqual(
      await sql.rows("SELECT n, v FROM (SELECT 1 AS a, CAST(NULL AS int) AS b) x UNPIVOT (v FOR n IN (a, b)) u"),
      [["a", 1]],
    );
    assert.equal(await sql.error("SELECT * FROM (SELECT 1 AS a, 'x' AS b) x UNPIVOT (v FOR n IN (a, b)) u"), 8167);
    assert.equal(await sql.error("SELECT * FROM (SELECT 1 AS a) x UNPIVOT (v FOR n IN (a, b)) u"), 207);
  });
});
