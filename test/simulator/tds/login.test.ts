import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, bench } from "./clients.ts";
import { column, select } from "./scripted-engine.ts";

const PEOPLE = select(
  [column("id", { id: "int" }, false), column("name", { id: "nvarchar", length: 50 })],
  [
    [1, "Diana"],
    [2, null],
    [3, "ünïcødé 😀"],
  ],
);
const ROWS = [
  [1, "Diana"],
  [2, null],
  [3, "ünïcødé 😀"],
];

test("a client logs in without encryption and reads rows", async () => {
  await using on = await bench({ encryption: "not_supported" });
  on.engine.on("select people", PEOPLE);
  const connection = await on.connect();
  const answer = await ask(connection, "select people");
  assert.equal(answer.error, null);
  assert.deepEqual(answer.rows, ROWS);
  assert.deepEqual(answer.dones, ["done 3"]);
});
