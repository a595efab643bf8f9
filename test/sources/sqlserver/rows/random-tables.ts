/** Random change tables: columns, rows of all operations, and what a reader is told to make of them. */
import type { RowField } from "../../../../src/sources/sqlserver/rows/row-code.ts";
import type * as tds from "../wire/token-writer.ts";
import { type Plan, planOf, type RowToken, responseOf } from "./change-table.ts";
import type { Random } from "./random.ts";
import { anyColumn, columnOf, type RandomColumn } from "./random-columns.ts";

export interface RandomTable {
  plan: Plan;
  types: tds.WireType[];
  rows: RowToken[];
  clockOffset: number;
  /** The tokens of the response. */
  tokens: Buffer;
}

const NAMES = ["ID", "a]b", 'say "hi"', "back\\slash", "tab\there", "ünïcødé", "😀", "\ud83d", "a,b:c", " ", "\u2028"];

/** `kind`: every column is of it. */
export function randomTable(random: Random, columns: number, rows: number, kind?: string): RandomTable {
  const made = Array.from({ length: columns }, () => (kind === undefined ? anyColumn(random) : columnOf(kind, random)));
  const plan = randomPlan(random, columns);
  const nulls = random.pick([0, 0.1, 0.5, 0.95]);
  const nbc = random.pick([0, 0.5, 1]);
  const tokens = randomRows(random, made, rows, nulls, nbc);
  const types = made.map(({ type }) => type);
  const clockOffset = random.pick([0, 0, 120, -330, 840, -840]);
  return { plan, types, rows: tokens, clockOffset, tokens: responseOf(plan, types, tokens, clockOffset) };
}

function randomPlan(random: Random, columns: number): Plan {
  const keys = random.chance(0.3) ? Math.min(columns, random.between(1, 3)) : 0;
  const masks = random.pick([0, 0, 0.2, 0.9]);
  const fields: Partial<RowField>[] = Array.from({ length: columns }, (_, index) => ({
    name: random.chance(0.2) ? `${random.pick(NAMES)}${index}` : `c${index}`,
    ordinal: random.between(1, 70),
    unknown: random.pick(["never", "never", "delete", "delete and before", "unmarked before"]),
    masked: index >= keys && random.chance(masks),
    key: index < keys ? keys - 1 - index : -1,
  }));
  const names = fields.slice(0, keys).map(({ name }) => name!);
  return planOf(fields, {
    options: {
      values: random.pick(["native", "native", "string"]),
      bigints: random.pick(["number", "string"]),
      decimals: random.pick(["string", "number"]),
      binary: random.pick(["base64", "hex"]),
    },
    offset: random.chance(0.5),
    mask: random.chance(0.7),
    keyColumns: keys === 0 ? null : names.reverse(),
    format: random.chance(0.7) ? "row" : "envelope",
  });
}

function randomRows(random: Random, columns: RandomColumn[], count: number, nulls: number, nbc: number): RowToken[] {
  const rows: RowToken[] = [];
  let lsn = random.below(1_000_000);
  const lsnText = () => `0000003600000b20${(lsn & 0xffff).toString(16).padStart(4, "0")}`;
  const valuesOf = () =>
    columns.map((column) => (column.nullable && random.chance(nulls) ? null : column.value(random)));
  while (rows.length < count) {
    if (random.chance(0.3)) lsn++;
    const place = {
      lsn: lsnText(),
      seqval: random.bytes(10).toString("hex"),
      command: random.pick([0, 1, 77, 2_147_483_647, -1]),
      time: random.chance(0.1)
        ? null
        : ([random.pick([46_345, -1, 0]), random.pick([0, 1, 2, 300, 25_919_999])] as [number, number]),
      offset: random.pick([0, 60, -840, 840, null]),
      mask: random.chance(0.1) ? null : random.bytes(random.below(10)),
    };
    // Mostly whole updates; sometimes one row of the two alone.
    const operations = random.pick([[1], [2], [4], [3, 4], [3, 4], [3, 4], [3], [3, 2], [3, 3, 4]]);
    for (const operation of operations) rows.push({ ...place, operation, values: valuesOf(), nbc: random.chance(nbc) });
    if (random.chance(0.1))
      rows.push({ ...place, command: 5, operation: 4, values: valuesOf(), nbc: random.chance(nbc) });
  }
  return rows;
}
