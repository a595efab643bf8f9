/** GORM with go-mssqldb: https://gorm.io/docs/connecting_to_the_database.html#SQL-Server */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { skipped } from "./suite.ts";
import { gorm } from "./tools.ts";

/** Name, type, length, nullable, primary key, generated, unique, default. */
const moment = (name: string) => [name, "DATETIMEOFFSET", 0, true, false, false, false, ""];

const EXPECTED = {
  columns: [
    ["id", "BIGINT", 0, false, true, true, false, ""],
    moment("created_at"),
    moment("updated_at"),
    moment("deleted_at"),
    ["name", "NVARCHAR", 100, false, false, false, false, ""],
    ["email", "NVARCHAR", 100, true, false, false, false, ""],
    ["age", "BIGINT", 0, true, false, false, false, "18"],
    moment("birthday"),
    ["balance", "DECIMAL", 0, true, false, false, false, ""],
    ["data", "VARBINARY", -1, true, false, false, false, ""],
    ["company_id", "BIGINT", 0, true, false, false, false, ""],
  ],
  ids: [1, 2, 4],
  found: ["Ünal", "a@b.c", 18, 12.34, true, "AQI=", "ACME", 2],
  languages: [
    { Code: "de", Name: "Deutsch" },
    { Code: "en", Name: "English" },
    { Code: "fr", Name: "French" },
  ],
  page: ["c", 20, "b", 19],
  people: 3,
  "languages left": 4,
  duplicate:
    "mssql: Cannot insert duplicate key row in object 'dbo.companies' with unique index 'idx_companies_name'. The duplicate key value is (ACME).",
  unchecked: "true",
  tables: 0,
};

const lacking = gorm.missing();
if (lacking) skipped("GORM", lacking);
else
  test("GORM makes tables from structs, finds nothing to change in them, and works with their rows", async (t) => {
    gorm.build();
    const simulator = await SqlServerSimulator.start({ databases: ["TestDB"] });
    t.after(() => simulator.close());
    const address = simulator.connectionStringFor("TestDB", { encrypt: true });
    const { stdout } = await promisify(execFile)(gorm.program, [address]);
    assert.deepEqual(JSON.parse(stdout), EXPECTED);
  });
