import assert from "node:assert/strict";
import { test } from "node:test";
import { splitOnGo } from "../../../simulator/sql/go-splitter.ts";

test("a script falls apart at its lines of GO, each batch with the line where it begins", () => {
  assert.deepEqual(splitOnGo("USE a\nGO\n\nSELECT 1\n  go 3 -- thrice\nSELECT 2\r\nGo\r\nGO\n"), [
    { text: "USE a", line: 1, count: 1 },
    { text: "\nSELECT 1", line: 3, count: 3 },
    { text: "SELECT 2\r", line: 6, count: 1 },
  ]);
});

test("GO inside a string, a name, a comment or a longer line separates nothing", () => {
  const whole = "SELECT 'it''s\nGO\n', [a\nGO\n]]] , \"\nGO\n\" /* b /* c */\nGO\n*/ -- '\nGOTO x\nSELECT 1 GO";
  assert.deepEqual(splitOnGo(whole), [{ text: whole, line: 1, count: 1 }]);
});
