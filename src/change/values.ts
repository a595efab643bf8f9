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

/** JSON text of a single: the shortest that reads back as the same single. */
export function singleText(value: number): string {
  if (value === 0) return doubleText(value);
  for (let digits = 6; digits < 9; digits++) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return doubleText(shorter);
  }
  return doubleText(Number(value.toPrecision(9)));
}

export function binaryText(value: Uint8Array, form: "base64" | "hex"): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString(form);
}
