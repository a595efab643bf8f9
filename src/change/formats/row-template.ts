/**
 * How one change is written, as parts in order: constant text, and places that the encoder of a source fills in for each
 * change. A format is such a template; a source compiles it once and runs it for every row.
 */
export type TemplatePart =
  /** Text as it is: JSON with the quotes and commas around the other parts. */
  | { readonly text: string }
  /** The row's values as a JSON object. Once in every template. */
  | { readonly part: "data" }
  /** The text and the old row's values, where the change carries them; nothing where it does not. Behind `data`. */
  | { readonly part: "before"; readonly text: string }
  | { readonly part: ChangeField };

/**
 * - "lsn", "seqval": 20 hexadecimal digits; "lsnParts": the same as `00000036:00000b20:0003`;
 * - "operation", "command": integers;
 * - "operationType": Delete, Insert, Update, Read; "changeType": the same in lower case;
 * - "commitTime": UTC with three digits in quotes, `"2026-11-21T10:11:12.123Z"`; "timestamp": the same, but without the digits
 *   where they are zero; both null where the source no longer knows the time.
 */
export type ChangeField =
  | "lsn"
  | "lsnParts"
  | "seqval"
  | "operation"
  | "command"
  | "operationType"
  | "changeType"
  | "commitTime"
  | "timestamp";

export type RowTemplate = readonly TemplatePart[];
