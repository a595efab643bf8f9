import assert from "node:assert/strict";
import { test } from "node:test";
import { collationNames, findCollation } from "../../../../simulator/engine/collations.ts";
import { codePageOf } from "../../../../src/sources/sqlserver/wire/collation.ts";

test("the code page of every collation that SQL Server lists is known, by the collation's bytes on the wire", () => {
  const names = collationNames();
  assert.ok(names.length > 1_000);
  for (const name of names) {
    const { bytes, codePage } = findCollation(name)!;
    // Of Unicode only: char and varchar columns cannot have them.
    if (codePage !== 0) assert.equal(codePageOf(bytes, name), codePage, name);
  }
});
