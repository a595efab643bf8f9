/** Conversions to xml: text and bytes are parsed, and kept as SQL Server writes them. */
import { SqlError } from "../session.ts";
import type { SqlType } from "../values.ts";
import { parseXml } from "../xml/parse.ts";
import { serialize } from "../xml/tree.ts";
import type { ConversionOptions, Converter } from "./conversion-rules.ts";
import { isBinary, isUnicode } from "./types.ts";

export function toXml(from: SqlType, { style = 0 }: ConversionOptions): Converter {
  if (style < 0 || style > 3)
    throw new SqlError(281, `${style} is not a valid style number when converting from ${from.id} to xml.`, 16, 1);
  const keepBlanks = (style & 1) === 1;
  if (isBinary(from))
    return (value) => {
      const bytes = value as Buffer;
      const wide = bytes[0] === 0xff && bytes[1] === 0xfe;
      return serialize(parseXml(bytes.toString(wide ? "utf16le" : "utf8"), { keepBlanks }));
    };
  const encoding = isUnicode(from) ? "utf-16" : "single";
  return (value) => serialize(parseXml(value as string, { keepBlanks, encoding }));
}
