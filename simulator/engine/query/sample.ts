/**
 * TABLESAMPLE: every page of a table is taken as a whole or not at all, by chance; so a small table comes whole or empty.
 * https://learn.microsoft.com/sql/t-sql/queries/from-transact-sql#tablesample-clause
 */
import type { TableSource } from "../../sql/ast.ts";
import type { Row } from "../database.ts";
import { type Frame, newFrame } from "../expressions/compiled.ts";
import type { Compiler } from "../expressions/compiler.ts";
import { Scope } from "../expressions/scope.ts";
import { mulberry32 } from "../random.ts";
import type { Run } from "../run.ts";
import { SqlError } from "../session.ts";
import type { Table } from "../table.ts";

/** About as many rows as a page of 8 KB has. */
const PAGE_ROWS = 100;

export function sampler(
  table: Table,
  { count, rows, seed }: NonNullable<(TableSource & { kind: "table" })["sample"]>,
  compiler: Compiler,
): (around: Frame | null, run: Run) => Iterable<Row> {
  const nothing = new Scope(null);
  const wanted = compiler.convert(compiler.expression(count, nothing), { id: "float" }, false);
  const start = seed && compiler.convert(compiler.expression(seed, nothing), { id: "bigint" }, false);
  return function* (around, run) {
    const frame = newFrame(0, around, run);
    const number = wanted.evaluate(frame) as number | null;
    if (number === null || number < 0 || (!rows && number > 100))
      throw new SqlError(
        476,
        `Invalid PERCENT tablesample size "${number}" for table "${table.name}". The PERCENT tablesample size must be between 0 and 100.`,
        16,
        1,
      );
    const share = rows ? number / Math.max(1, table.rowCount) : number / 100;
    const state = start && { random: Number(BigInt.asUintN(32, start.evaluate(frame) as bigint)) };
    const random = () => (state ? mulberry32(state) : run.engine.random());
    let place = 0;
    let taken = false;
    for (const row of table.rows(run.snapshot)) {
      if (place++ % PAGE_ROWS === 0) taken = random() < share;
      if (taken) yield row;
    }
  };
}
