/**
 * Generated code that writes constant text at `o` of `d` (and `dv`, the same bytes), eight bytes at a time: a store of a double
 * copies its bits, and no eight bytes of UTF-8 are those of a NaN, which a store might change (their last byte would be 0x7F or
 * 0xFF and the one before it 0xF0 or above).
 */
export function text(value: string): string {
  const bytes = Buffer.from(value);
  if (bytes.length === 0) return "";
  const stores: string[] = [];
  let at = 0;
  for (; bytes.length - at >= 8; at += 8) stores.push(store8(bytes, at));
  if (at < bytes.length && bytes.length >= 8) stores.push(store8(bytes, bytes.length - 8));
  else {
    for (; bytes.length - at >= 4; at += 4) stores.push(`dv.setInt32(o + ${at}, ${bytes.readInt32LE(at)}, true);`);
    for (; at < bytes.length; at++) stores.push(`d[o + ${at}] = ${bytes[at]};`);
  }
  return `${stores.join(" ")} o += ${bytes.length};`;
}

function store8(bytes: Buffer, at: number): string {
  return `dv.setFloat64(o + ${at}, ${bytes.readDoubleLE(at)}, true);`;
}
