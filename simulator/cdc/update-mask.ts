/**
 * `__$update_mask`: one bit a captured column, that of ordinal 1 the lowest of the last byte.
 * Inserts and deletes have all bits set, updates those of the columns that changed.
 * https://learn.microsoft.com/sql/relational-databases/system-tables/cdc-capture-instance-ct-transact-sql
 */
import { Decimal, Temporal, type Value, Variant } from "../engine/values.ts";

/** A mask for `count` captured columns with the bits of `ordinals` (from 1) set. */
export function updateMask(ordinals: Iterable<number>, count: number): Buffer {
  const mask = Buffer.alloc(Math.ceil(count / 8));
  for (const ordinal of ordinals) mask[mask.length - 1 - ((ordinal - 1) >> 3)]! |= 1 << ((ordinal - 1) & 7);
  return mask;
}

export function fullMask(count: number): Buffer {
  return updateMask(
    Array.from({ length: count }, (_, i) => i + 1),
    count,
  );
}

/** sys.fn_cdc_is_bit_set: `position` counts from 1. */
export function isBitSet(position: number, mask: Buffer): boolean {
  const byte = mask.length - 1 - ((position - 1) >> 3);
  return position >= 1 && byte >= 0 && (mask[byte]! & (1 << ((position - 1) & 7))) !== 0;
}

/** Equal to the last bit: another case, or a decimal's other scale, is a change. */
export function identical(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  if (Buffer.isBuffer(a)) return Buffer.isBuffer(b) && a.equals(b);
  if (a instanceof Decimal) return b instanceof Decimal && a.unscaled === b.unscaled && a.scale === b.scale;
  if (a instanceof Temporal)
    return b instanceof Temporal && a.days === b.days && a.ticks === b.ticks && a.offset === b.offset;
  if (a instanceof Variant) return b instanceof Variant && a.type.id === b.type.id && identical(a.value, b.value);
  return Object.is(a, b);
}
