/**
 * How FOR XML, FOR JSON and their functions write a value: as XML Schema does, whatever the session's settings.
 * https://learn.microsoft.com/sql/relational-databases/xml/for-xml-sql-server
 */
import type { SqlType, Temporal, Value } from "../values.ts";
import { converter } from "./conversion.ts";
import { isApproximate, isMoney, isTemporal, isText } from "./types.ts";

const TEXT: SqlType = { id: "nvarchar", length: -1 };

export function plainText(type: SqlType): (value: NonNullable<Value>) => string {
  if (isText(type) || type.id === "xml" || type.id === "uniqueidentifier") return (value) => value as string;
  const style = isTemporal(type) ? 126 : isMoney(type) || isApproximate(type) ? 2 : 0;
  const convert = converter(type, TEXT, { style });
  const text = (value: NonNullable<Value>) => (convert ? convert(value) : value) as string;
  if (type.id === "datetimeoffset")
    return (value) => {
      const written = shortened(text(value));
      return (value as Temporal).offset === 0 ? written.replace(/\s*\+00:00$/, "Z") : written;
    };
  return isTemporal(type) && type.id !== "date" ? (value) => shortened(text(value)) : text;
}

/** Without the zeros at the end of a fraction of a second. */
function shortened(text: string): string {
  return text.replace(/\.(\d*?)0+(?=$|[+-])/, (_, digits: string) => (digits === "" ? "" : `.${digits}`));
}
