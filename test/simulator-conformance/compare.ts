/** Holds what a client saw against what SQL Server answers. */
import assert from "node:assert/strict";
import { baseOf, type Client } from "./client.ts";
import type { Cell, Expected, ExpectedError, Played, Scenario, Seen, SeenError } from "./scenario.ts";

export function compare(scenario: Scenario, played: Played, client: Client): void {
  if (scenario.refused) {
    assert.ok(played.refused, "the login was not refused");
    compareErrors([played.refused], [scenario.refused], "login");
    return;
  }
  assert.equal(played.refused, undefined, `the login was refused: ${played.refused?.message}`);
  const steps = scenario.steps.flatMap((step, index): { expect: Expected | "cancelled"; place: string }[] => {
    const place = `step ${index + 1}`;
    if (step.do === "prepared") {
      return step.runs.map((run, turn) => ({ expect: run.expect, place: `${place}, run ${turn + 1}: ${step.sql}` }));
    }
    if (step.do === "describe") return [{ expect: step.expect, place: `${place}: the parameters of ${step.sql}` }];
    if (step.do === "batch") return [{ expect: step.expect ?? {}, place: `${place}: ${step.sql}` }];
    if (step.do === "call") return [{ expect: step.expect, place: `${place}: ${step.procedure}` }];
    if (step.do === "bulk") return [{ expect: step.expect, place: `${place}: bulk copy into ${step.table}` }];
    if (step.do === "scroll") return [{ expect: step.expect, place: `${place}: ${step.cursor} cursor, ${step.sql}` }];
    if (step.do === "cancel") return [{ expect: "cancelled", place: `${place}: ${step.sql}` }];
    return [{ expect: {}, place: `${place}: ${step.do}` }];
  });
  steps.forEach(({ expect, place }, index) => {
    const seen = played.steps[index];
    assert.ok(seen, `${place}: was not played`);
    if (expect === "cancelled") assert.ok(seen.cancelled, `${place}: was not cancelled, but ${JSON.stringify(seen)}`);
    else compareStep(seen, expect, place, client);
  });
}

function compareStep(seen: Seen, expect: Expected, place: string, client: Client): void {
  const errors = expect.errors ?? (expect.error ? [expect.error] : []);
  compareErrors(seen.errors, errors, place);
  if (expect.sets) compareSets(seen, expect.sets, place, client);
  if (expect.affected !== undefined && seen.affected !== null && seen.affected !== undefined) {
    assert.equal(seen.affected, expect.affected, `${place}: rows affected`);
  }
  if (expect.messages && client.abilities.includes("messages")) {
    assert.deepEqual(seen.messages, expect.messages, `${place}: messages`);
  }
  if (expect.outputs) assert.deepEqual(seen.outputs, expect.outputs, `${place}: output parameters`);
  if (expect.returned !== undefined && seen.returned !== null && seen.returned !== undefined) {
    assert.equal(seen.returned, expect.returned, `${place}: return status`);
  }
}

function compareSets(seen: Seen, expected: NonNullable<Expected["sets"]>, place: string, client: Client): void {
  assert.equal(seen.sets.length, expected.length, `${place}: result sets, in ${excerpt(seen.sets)}`);
  expected.forEach((set, index) => {
    const { columns, rows } = seen.sets[index]!;
    if (set.columns && columns) assert.deepEqual(columns, set.columns, `${place}: columns of result ${index + 1}`);
    assert.equal(rows.length, set.rows.length, `${place}: rows of result ${index + 1}, in ${excerpt(rows)}`);
    set.rows.forEach((cells, row) => {
      const got = rows[row]!;
      assert.equal(got.length, cells.length, `${place}: columns of row ${row + 1}, in ${excerpt(got)}`);
      cells.forEach((cell, column) => {
        const type = set.types?.[column] ?? "varchar";
        const value = got[column] ?? null;
        const where = `${place}: result ${index + 1}, row ${row + 1}, column ${column + 1} (${type})`;
        assert.ok(
          same(cell, value, type, client),
          `${where}: ${excerpt(value)} instead of ${typeof cell === "function" ? cell : excerpt(shown(cell, type, client))}`,
        );
      });
    });
  });
}

function shown(cell: string | null, type: string, client: Client): string | null {
  return cell === null ? null : (client.shows.get(baseOf(type))?.(cell, type) ?? cell);
}

function same(cell: Cell, seen: string | null, type: string, client: Client): boolean {
  if (typeof cell === "function") return cell(seen);
  const expected = shown(cell, type, client);
  if (expected === null || seen === null) return expected === seen;
  if (baseOf(type) === "float") return Object.is(Number(seen), Number(expected));
  if (baseOf(type) === "real") return Object.is(Math.fround(Number(seen)), Math.fround(Number(expected)));
  return seen === expected;
}

function compareErrors(seen: SeenError[], expected: ExpectedError[], place: string): void {
  const told = seen.map((error) => `${error.number}: ${error.message}`).join("; ") || "no error";
  assert.deepEqual(
    seen.map((error) => error.number),
    expected.map((error) => error.number),
    `${place}: ${told}`,
  );
  expected.forEach((error, index) => {
    const got = seen[index]!;
    for (const key of ["state", "severity", "line"] as const) {
      const value = got[key];
      if (error[key] === undefined || value === undefined || value === null) continue;
      assert.equal(value, error[key], `${place}: ${key} of error ${error.number}`);
    }
    if (error.message instanceof RegExp) assert.match(got.message, error.message, place);
    else if (error.message !== undefined) assert.equal(got.message, error.message, `${place}: error ${error.number}`);
  });
}

/** Long values stay readable in a failure. */
function excerpt(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length} characters)` : text;
}
