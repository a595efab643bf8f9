/** The ORDER token, MS-TDS 2.2.7.17: "sent only in the event that an ORDER BY clause is executed". */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Request } from "tedious";
import { SqlServerSimulator } from "../../../simulator/index.ts";
import { connected, newConnection } from "./clients.ts";

let server: SqlServerSimulator;
before(async () => {
  server = await SqlServerSimulator.start({ databases: ["TestDB"], password: "Secret-€1" });
  await server.query("CREATE TABLE t (id int PRIMARY KEY, name varchar(9)); INSERT t VALUES (1, 'b'), (2, 'a')");
});
after(() => server.close());

/** The columns that each query's token names; null where none came. */
async function orders(...queries: string[]): Promise<(number[] | null)[]> {
  const connection = newConnection(server.port);
  await connected(connection);
  const all: (number[] | null)[] = [];
  for (const query of queries) {
    let found: number[] | null = null;
    await new Promise<void>((resolve, reject) => {
      const request = new Request(query, (error) => (error ? reject(error) : resolve()));
      request.on("order", (columns) => {
        found = columns;
      });
      connection.execSqlBatch(request);
    });
    all.push(found);
  }
  connection.close();
  return all;
}

test("a result that ORDER BY has sorted says by which of its columns", async () => {
  const found = await orders(
    "SELECT id, name FROM t ORDER BY name DESC, id",
    "SELECT TOP (1) name FROM t ORDER BY 1",
    "SELECT id FROM t UNION ALL SELECT 3 ORDER BY id",
    "SELECT id AS a, name AS b FROM t ORDER BY b OFFSET 1 ROWS",
  );
  assert.deepEqual(found, [[2, 1], [1], [1], [2]]);
});

test("a result without ORDER BY says nothing, whatever its subqueries sort by", async () => {
  const found = await orders(
    "SELECT id FROM t",
    "SELECT x.id FROM (SELECT TOP (1) id FROM t ORDER BY id) x",
    "SELECT 1",
  );
  assert.deepEqual(found, [null, null, null]);
});
