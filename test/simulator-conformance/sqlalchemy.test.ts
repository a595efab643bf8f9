/** SQLAlchemy with pymssql: https://docs.sqlalchemy.org/en/21/dialects/mssql.html#module-sqlalchemy.dialects.mssql.pymssql */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { SqlServerSimulator } from "../../simulator/index.ts";
import { skipped } from "./suite.ts";
import { clients, python } from "./tools.ts";

const CATALOGUE = {
  tables: ["author", "book", "item"],
  sequences: ["numbers"],
  columns: [
    ["id", "INTEGER", false, null, null],
    ["name", "NVARCHAR(40)", false, "(N'x')", "what it is called"],
    ["amount", "NUMERIC(12, 3)", true, null, null],
    ["key", "UNIQUEIDENTIFIER", true, null, null],
    ["data", "VARBINARY", true, null, null],
    ["twice", "INTEGER", true, null, null],
    ["kind", "VARCHAR(10)", true, null, null],
  ],
  identity: { start: 10, increment: 5 },
  computed: { sqltext: "([id]*(2))", persisted: true },
  comment: "the items",
  key: ["id"],
  indexes: [
    ["ix_item", false, ["name", "amount"], ["kind"], ""],
    ["ux_item", true, ["kind"], [], "([kind] IS NOT NULL)"],
  ],
  "foreign keys": [["fk_book_author", ["author_id"], "author", ["id"]]],
  numbers: [5, 7],
  views: [["titles", "CREATE VIEW titles AS SELECT title FROM book"]],
  dropped: ["author", "book"],
};

const OBJECTS = {
  changed: ["Öz", 2, ["t10", "t11"]],
  page: [
    ["Ünal 28", 3],
    ["Ünal 27", 3],
  ],
  // Authors 2 and 20 to 29 have three books each, for 0, 1.50 and 3.
  sums: [33, "49.50", "2020-02-29"],
  ranked: [
    ["t00", 3],
    ["t01", 2],
    ["t02", 1],
  ],
  returned: 5,
  key: "refused",
  "foreign key": "refused",
  left: [34, 87],
  levels: ["READ UNCOMMITTED", "REPEATABLE READ", "SNAPSHOT", "SERIALIZABLE", "READ COMMITTED"],
};

const lacking = python.missing();
if (lacking) skipped("SQLAlchemy", lacking);
else
  test("SQLAlchemy makes tables, reads them back from the catalogue, and works with rows as objects", async (t) => {
    const simulator = await SqlServerSimulator.start({ databases: ["TestDB"] });
    t.after(() => simulator.close());
    const { host, port, password } = simulator;
    const target = JSON.stringify({ host, port, user: "sa", password, database: "TestDB" });
    const program = join(clients, "python", "sqlalchemy_story.py");
    const { stdout } = await promisify(execFile)(python.interpreter, [program, target]);
    const { catalogue, objects } = JSON.parse(stdout) as { catalogue: unknown; objects: unknown };
    assert.deepEqual(catalogue, CATALOGUE);
    assert.deepEqual(objects, OBJECTS);
  });
