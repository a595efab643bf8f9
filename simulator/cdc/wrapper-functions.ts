/**
 * sys.sp_cdc_generate_wrapper_function: scripts of functions that ask for changes by time.
 * https://learn.microsoft.com/sql/relational-databases/system-stored-procedures/sys-sp-cdc-generate-wrapper-function-transact-sql
 * https://learn.microsoft.com/sql/relational-databases/system-functions/sys-fn-all-changes-capture-instance-transact-sql
 */

import type { RowObject } from "../catalog/define.ts";
import { bracketed } from "../catalog/names.ts";
import { typeText } from "../engine/types/types.ts";
import { parseColumnList } from "./column-list.ts";
import { cdcError } from "./errors.ts";
import type { CaptureInstance } from "./instances.ts";

export const WRAPPERS = "function_name nvarchar(145), create_script nvarchar(max)";

export interface WrapperOptions {
  /** Whether changes of the very end time are included. */
  closedHighEndPoint: boolean;
  /** NULL: all that is captured. */
  columnList: string | null;
  updateFlagList: string | null;
}

/** One for all changes, and where the instance supports it one for net changes. */
export function* wrapperFunctions(instance: CaptureInstance, options: WrapperOptions): Generator<RowObject> {
  yield script(instance, options, {
    name: "fn_all_changes_",
    source: "fn_cdc_get_all_changes_",
    leading: ["__CDC_STARTLSN binary(10)", "__CDC_SEQVAL binary(10)"],
    selected: ["__$start_lsn", "__$seqval"],
    operations: { 1: "D", 2: "I", 3: "UO", 4: "UN" },
  });
  if (instance.supportsNetChanges)
    yield script(instance, options, {
      name: "fn_net_changes_",
      source: "fn_cdc_get_net_changes_",
      leading: [],
      selected: [],
      operations: { 1: "D", 2: "I", 4: "UN", 5: "M" },
    });
}

interface Wrapper {
  name: string;
  source: string;
  leading: string[];
  selected: string[];
  operations: Record<number, string>;
}

function script(instance: CaptureInstance, options: WrapperOptions, wrapper: Wrapper): RowObject {
  const name = `${wrapper.name}${instance.name}`;
  const columns = chosen(instance, options.columnList, 22918) ?? instance.columns.map((column) => column.name);
  const flags = chosen(instance, options.updateFlagList, 22919) ?? [];
  const literal = `N'${instance.name.replaceAll("'", "''")}'`;
  // Both ends of an interval are mapped alike: the next one, which begins at the end time, goes on without a gap.
  const upTo = options.closedHighEndPoint ? "largest less than or equal" : "largest less than";
  const result = [
    ...wrapper.leading,
    ...columns.map((column) => `${bracketed(column)} ${typeOf(instance, column)}`),
    "__CDC_OPERATION varchar(2)",
    ...flags.map((column) => `${bracketed(`${column}_uflag`)} bit`),
  ];
  const operation = Object.entries(wrapper.operations).map(([number, letter]) => `when ${number} then '${letter}'`);
  const selected = [
    ...wrapper.selected,
    ...columns.map(bracketed),
    `case __$operation ${operation.join(" ")} end`,
    ...flags.map((column) => {
      const ordinal = `sys.fn_cdc_get_column_ordinal(${literal}, N'${column.replaceAll("'", "''")}')`;
      return `case when __$operation in (3, 4) then sys.fn_cdc_is_bit_set(${ordinal}, __$update_mask) end`;
    }),
  ];
  return {
    function_name: name,
    create_script: `create function ${bracketed(name)}
  ( @start_time datetime = null, @end_time datetime = null, @row_filter_option nvarchar(30) = N'all' )
returns @resultset table ( ${result.join(", ")} )
as
begin
  declare @from_lsn binary(10), @to_lsn binary(10)
  if @start_time is null
    select @from_lsn = sys.fn_cdc_get_min_lsn(${literal})
  else
    select @from_lsn = sys.fn_cdc_increment_lsn(sys.fn_cdc_map_time_to_lsn('${upTo}', @start_time))
  if @end_time is null
    select @to_lsn = sys.fn_cdc_get_max_lsn()
  else
    select @to_lsn = sys.fn_cdc_map_time_to_lsn('${upTo}', @end_time)
  if @from_lsn is not null and @to_lsn is not null and @from_lsn = sys.fn_cdc_increment_lsn(@to_lsn)
    return
  insert into @resultset
  select ${selected.join(", ")}
  from cdc.${bracketed(`${wrapper.source}${instance.name}`)}(@from_lsn, @to_lsn, @row_filter_option)
  return
end`,
  };
}

function chosen(instance: CaptureInstance, list: string | null, error: 22918 | 22919): string[] | undefined {
  if (list === null || list.trim() === "") return undefined;
  return parseColumnList(list).map((wanted) => {
    const found = instance.columns.find((column) => column.name.toLowerCase() === wanted.toLowerCase());
    if (!found) throw cdcError(error, instance.changeTable.qualifiedName);
    return found.name;
  });
}

function typeOf({ changeTable }: CaptureInstance, column: string): string {
  return typeText(changeTable.columns[changeTable.columnIndex(column)]!.type);
}
