import assert from "node:assert/strict";
import { hostname } from "node:os";
import { test } from "node:test";
import {
  destinationName,
  refuseCollisions,
  refuseNamesakes,
  serverIdentity,
  serverLabel,
} from "../../src/change/formats/destination.ts";
import { SourceError } from "../../src/errors.ts";

const place = { host: "Sql-01.corp.example.com", database: "TestDB", schema: "dbo", table: "Persons" };

test("a table of dbo ends in <server>.<database>.<table>.events, another schema is named", () => {
  assert.equal(destinationName(place), "sql-01.testdb.persons.events");
  assert.equal(destinationName({ ...place, schema: "sales" }), "sql-01.testdb.sales.persons.events");
});

test("for localhost and for addresses the machine's host name stands in", () => {
  const machine = hostname().split(".")[0]!.toLowerCase();
  for (const host of ["localhost", "127.0.0.1", "10.1.2.3", "::1", "[fe80::1]", "."])
    assert.equal(serverLabel(host), machine);
});

test("a lock's server is the same on every machine that has the same connection string", () => {
  assert.equal(serverIdentity("Sql-01.corp.example.com"), "sql-01.corp.example.com");
  assert.equal(serverIdentity("10.1.2.3"), "10.1.2.3");
  assert.equal(serverIdentity("localhost"), hostname().toLowerCase());
});

test("a template replaces the name; what a transport may not like becomes a dash", () => {
  const template = "cdc/{database}.{schema}.{table}";
  assert.equal(destinationName({ ...place, table: "Order Lines (old)" }, template), "cdc-testdb.dbo.order-lines--old-");
  assert.throws(() => destinationName(place, "{tabel}"), SourceError);
});

test("two tables that would end in one destination are refused by name", () => {
  const ends = ["A b", "A-b"].map((table) => ({
    table: { schema: "dbo", table },
    destination: destinationName({ ...place, table }),
  }));
  assert.throws(() => refuseCollisions(ends), /dbo\.A b and dbo\.A-b would both end in .*a-b\.events/);
});

test("two tables that a dot makes alike are refused, since one would go on from the other's checkpoint", () => {
  const dotted = { schema: "dbo", table: "sales.Orders" };
  const orders = { schema: "sales", table: "Orders" };
  assert.throws(
    () => refuseNamesakes([orders, { schema: "dbo", table: "Orders" }, dotted]),
    (error: SourceError) => {
      assert.equal(error.scope, "fatal");
      assert.match(error.message, /\[sales\]\.\[Orders\] and \[dbo\]\.\[sales\.Orders\]/);
      return true;
    },
  );
  assert.throws(
    () =>
      refuseNamesakes([
        { schema: "a.b", table: "c" },
        { schema: "a", table: "b.c" },
      ]),
    SourceError,
  );
  refuseNamesakes([orders, { schema: "dbo", table: "Orders" }, { schema: "Sales", table: "Persons" }]);
});
