/** Finding where a JSON value ends in UTF-8 bytes, without reading it: so that it can be cut out exactly as it was written. */

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The offset behind the object, array or string that begins at `start`. Throws where it does not end, or is none of these. */
export function endOfValue(json: Uint8Array, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const byte = json[at]!;
    if (byte === QUOTE) {
      at = endOfString(json, at) - 1;
    } else if (byte === 0x7b || byte === 0x5b) {
      depth++;
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--;
    } else if (depth === 0) {
      throw new Error(`No JSON object, array or string at byte ${at}.`);
    }
    if (depth === 0) return at + 1;
  }
  throw new Error(`The JSON value at byte ${start} does not end.`);
}

function endOfString(json: Uint8Array, start: number): number {
  for (let at = start + 1; at < json.length; at++) {
    const byte = json[at]!;
    if (byte === BACKSLASH) at++;
    else if (byte === QUOTE) return at + 1;
  }
  throw new Error(`The JSON string at byte ${start} does not end.`);
}
