/** https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sp-sequence-get-range-transact-sql */
import { findSequence } from "../expressions/next-value.ts";
import { numberValue, takeRange } from "../sequences.ts";
import { SqlError } from "../session.ts";
import { type Argument, type Caller, parseName } from "../statements/calls.ts";
import { INT } from "../types/types.ts";
import { type SqlType, type Value, Variant } from "../values.ts";
import { Arguments } from "./arguments.ts";

const VARIANT: SqlType = { id: "sql_variant" };
const NAMES = [
  "sequence_name",
  "range_size",
  "range_first_value",
  "range_last_value",
  "range_cycle_count",
  "sequence_increment",
  "sequence_min_value",
  "sequence_max_value",
];

export async function sequenceGetRange({ session }: Caller, args: Argument[]): Promise<number> {
  const given = new Arguments("sp_sequence_get_range", NAMES, args, session);
  const name = given.text("sequence_name") ?? "";
  const found = findSequence(parseName(name), { session, database: session.currentDatabase });
  if (!found) throw new SqlError(208, `Invalid object name '${name}'.`, 16, 1);
  const size = given.value("range_size", { id: "bigint" }) as bigint | null;
  if (size === null || size < 1n)
    throw new SqlError(11733, "Parameter '@range_size' must be a positive integer.", 16, 1);
  const { sequence } = found;
  const { first, last, cycles } = takeRange(sequence, size);
  const variant = (number: bigint) => new Variant(sequence.type, numberValue(sequence, number));
  const results: [string, Value, SqlType][] = [
    ["range_first_value", variant(first), VARIANT],
    ["range_last_value", variant(last), VARIANT],
    ["range_cycle_count", cycles, INT],
    ["sequence_increment", variant(sequence.increment), VARIANT],
    ["sequence_min_value", variant(sequence.minimum), VARIANT],
    ["sequence_max_value", variant(sequence.maximum), VARIANT],
  ];
  for (const [parameter, value, type] of results) given.find(parameter)?.give?.(value, type);
  return 0;
}
