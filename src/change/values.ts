/** How values are written (formats.md, "Values"): one choice for the whole configuration. */
export interface ValueOptions {
  /** "string": every value in `data` and `before` is a string, as the first version of dstream wrote them. NULL stays null. */
  values: "native" | "string";
  bigints: "number" | "string";
  decimals: "string" | "number";
  binary: "base64" | "hex";
}

export const defaultValueOptions: ValueOptions = {
  values: "native",
  bigints: "number",
  decimals: "string",
  binary: "base64",
};

/** JSON text of a double: the shortest that reads back the same, with the sign of zero. */
export function doubleText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

const SMALLEST_NORMAL_SINGLE = 2 ** -126;
const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** JSON text of a single: the shortest that reads back as the same single. */
export function singleText(value: number): string {
  if (value === 0) return doubleText(value);
  // Six digits tell all singles apart but the subnormal ones, which have fewer.
  for (let digits = Math.abs(value) < SMALLEST_NORMAL_SINGLE ? 1 : 6; digits < 9; digits++) {
    const nearest = Number(value.toPrecision(digits));
    if (Math.fround(nearest) === value) return doubleText(nearest);
    single[0] = value;
    if (digits === 6 || (singleBits[0]! & 0x7fffff) !== 0) continue;
    // Beyond a power of two singles lie twice as far apart as before it: the next decimal may still read back as it.
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e") as [string, string];
    const next = Number(`${Number(mantissa.replace(".", "")) + Math.sign(value)}e${Number(exponent) - digits + 1}`);
    if (Math.fround(next) === value) return doubleText(next);
  }
  return doubleText(Number(value.toPrecision(9)));
}
