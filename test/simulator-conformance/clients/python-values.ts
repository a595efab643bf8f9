/** What Python's own types make of values. */

export function withoutTrailingZeros(text: string): string {
  return text.replace(/(\.\d*?)0+(?=$|[+-])/, "$1").replace(/\.(?=$|[+-])/, "");
}

/** Times end at microseconds. */
export function inMicroseconds(text: string): string {
  return withoutTrailingZeros(text.replace(/(\.\d{6})\d+/, "$1"));
}
