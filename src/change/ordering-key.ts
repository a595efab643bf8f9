/**
 * Ordering keys. `ordering = "table"`: the table's full name. `ordering = "key"`: the table's full name and the values of the
 * row's key as they stand in the message's JSON, or their hash where that would be long or not plain ASCII (brokers limit
 * session and group ids). A change of the key itself spans two of them.
 */
import { createHash } from "node:crypto";
import { fullName, type TableName } from "../ingester/checkpoint.ts";

const LONGEST = 100;

export function tableKey(table: TableName): string {
  return fullName(table);
}

/** `values`: JSON text of the key columns' values, in the order of the key. */
export function rowKey(table: TableName, values: readonly string[]): string {
  const plain = `${fullName(table)}/${values.join(",")}`;
  if (plain.length <= LONGEST && /^[\x20-\x7e]*$/.test(plain)) return plain;
  const hash = createHash("sha256").update(values.join(",")).digest("base64url").slice(0, 22);
  return `${fullName(table)}/#${hash}`;
}
