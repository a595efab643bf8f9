/**
 * The scalar functions of change data capture.
 * https://learn.microsoft.com/sql/relational-databases/system-functions/change-data-capture-functions-transact-sql
 */
import { scalar } from "../catalog/define.ts";
import { lsnFromBuffer, lsnToBuffer } from "../engine/database.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import { invalidObject } from "../engine/errors.ts";
import { SqlError } from "../engine/session.ts";
import type { Table } from "../engine/table.ts";
import type { Temporal, Value } from "../engine/values.ts";
import { mayRead } from "./access.ts";
import { CdcDatabase } from "./cdc-database.ts";
import { type CaptureInstance, findInstance } from "./instances.ts";
import { END_TIME, entryOf, lsnOfTime, maximumLsn, RELATIONS, type Relation } from "./lsn-time-mapping.ts";
import { isBitSet } from "./update-mask.ts";

const HIGHEST = (1n << 80n) - 1n;
const NOTHING = Buffer.alloc(10);

/** In a database that is not enabled the functions fail as the query inside them does: error 208. */
function mapping({ database }: EngineContext): Table {
  const { tables } = CdcDatabase.of(database);
  if (!tables) throw invalidObject("cdc.lsn_time_mapping");
  return tables.lsnTimeMapping;
}

/** The instance, if there is one of that name that the caller may read. */
function readable(context: EngineContext, name: Value): CaptureInstance | undefined {
  const { database, snapshot } = context;
  const { tables } = CdcDatabase.of(database);
  if (!tables || typeof name !== "string") return undefined;
  const found = findInstance(database, tables, snapshot, name);
  return found && mayRead(context, found) ? found : undefined;
}

function lsnOf(value: Value): bigint | null {
  return Buffer.isBuffer(value) ? lsnFromBuffer(value) : null;
}

function ordinalOf(context: EngineContext, instance: Value, column: Value): number | null {
  const found = readable(context, instance);
  const at = found?.columns.findIndex(({ name }) => name.toLowerCase() === String(column).trimEnd().toLowerCase());
  return at === undefined || at < 0 ? null : at + 1;
}

/** "0x" and 20 digits. */
function binaryOf(value: Value): Buffer | null {
  if (value === null) return null;
  const match = /^0x([0-9a-f]{20})$/i.exec(String(value).trim());
  if (!match) throw new SqlError(40510, "The simulator supports sys.fn_cdc_hexstrtobin of 0x and 20 digits only.");
  return Buffer.from(match[1]!, "hex");
}

function hexOf(value: Value): string | null {
  return Buffer.isBuffer(value) ? `0x${value.toString("hex")}` : null;
}

export function registerCdcFunctions(engine: Engine): void {
  const functions = [
    scalar("sys.fn_cdc_get_max_lsn", "", "binary(10)", (context) => {
      const maximum = maximumLsn(mapping(context), context.snapshot);
      return maximum === null ? null : lsnToBuffer(maximum);
    }),
    // NULL while capture has not come to the instance.
    scalar("sys.fn_cdc_get_min_lsn", "sysname", "binary(10)", (context, [name]) => {
      const instance = readable(context, name!);
      if (!instance) return NOTHING;
      const maximum = maximumLsn(mapping(context), context.snapshot);
      const reached = instance.startLsn !== null && (maximum === null || maximum >= instance.startLsn);
      return reached ? lsnToBuffer(instance.startLsn!) : null;
    }),
    scalar("sys.fn_cdc_increment_lsn", "binary(10)", "binary(10)", (_, [value]) => {
      const lsn = lsnOf(value!);
      return lsn === null || lsn === HIGHEST ? null : lsnToBuffer(lsn + 1n);
    }),
    scalar("sys.fn_cdc_decrement_lsn", "binary(10)", "binary(10)", (_, [value]) => {
      const lsn = lsnOf(value!);
      return lsn === null || lsn === 0n ? null : lsnToBuffer(lsn - 1n);
    }),
    scalar("sys.fn_cdc_map_lsn_to_time", "binary(10)", "datetime", (context, [value]) => {
      const lsn = lsnOf(value!);
      const entry = lsn === null ? undefined : entryOf(mapping(context), context.snapshot, lsn);
      return entry?.[END_TIME] ?? null;
    }),
    scalar("sys.fn_cdc_map_time_to_lsn", "nvarchar(30); datetime", "binary(10)", (context, [relation, time]) => {
      const wanted = String(relation).trim().toLowerCase() as Relation;
      if (time === null || !RELATIONS.includes(wanted)) return null;
      const lsn = lsnOfTime(mapping(context), context.snapshot, wanted, time as Temporal);
      return lsn === null ? null : lsnToBuffer(lsn);
    }),
    scalar("sys.fn_cdc_get_column_ordinal", "sysname; sysname", "int", (context, [instance, column]) =>
      ordinalOf(context, instance!, column!),
    ),
    scalar("sys.fn_cdc_is_bit_set", "int; varbinary(128)", "bit", (_, [position, mask]) =>
      typeof position === "number" && Buffer.isBuffer(mask) ? isBitSet(position, mask) : null,
    ),
    scalar(
      "sys.fn_cdc_has_column_changed",
      "sysname; sysname; varbinary(128)",
      "bit",
      (context, [instance, column, mask]) => {
        const ordinal = ordinalOf(context, instance!, column!);
        return ordinal === null || !Buffer.isBuffer(mask) ? null : isBitSet(ordinal, mask);
      },
    ),
    scalar("sys.fn_cdc_hexstrtobin", "nvarchar(22)", "binary(10)", (_, [value]) => binaryOf(value!)),
    // Neither is documented, but scripts show LSNs with them.
    scalar("sys.fn_varbintohexstr", "varbinary(max)", "nvarchar(max)", (_, [value]) => hexOf(value!)),
  ];
  for (const definition of functions) engine.registerFunction(definition);
  const inMaster = scalar("dbo.fn_varbintohexstr", "varbinary(max)", "nvarchar(max)", (_, [value]) => hexOf(value!));
  engine.database("master")!.systemObjects.registerFunction(inMaster);
}
