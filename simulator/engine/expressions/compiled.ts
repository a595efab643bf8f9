/** What expressions and conditions become: closures with a static type, evaluated against a frame of current rows. */
import type { Column, Row } from "../database.ts";
import type { Run } from "../run.ts";
import type { Entry } from "../table.ts";
import type { SqlType, Value } from "../values.ts";

/** The current row of every source of one query block, and the frame of the block around it. */
export interface Frame {
  /** By slot; null is the missing side of an outer join. */
  rows: (Row | null)[];
  /** The stored row behind a slot, where a statement is about to change it. */
  entries: (Entry | null)[] | null;
  outer: Frame | null;
  run: Run;
}

export interface CollationLabel {
  name: string;
  /** https://learn.microsoft.com/sql/t-sql/statements/collation-precedence-transact-sql */
  label: "explicit" | "implicit" | "default";
}

export interface Compiled {
  type: SqlType;
  nullable: boolean;
  evaluate(frame: Frame): Value;
  collation?: CollationLabel;
  /** A column of a source of the block that compiled it. */
  column?: { slot: number; column: number; depth: number; name: string; identity?: boolean; computed?: boolean };
  /** The column whose value this is wherever that is not NULL. */
  unlessNull?: Compiled["column"];
  /** The text is JSON: FOR JSON and the functions that make JSON take it as it is. */
  json?: true;
  /** Does not change while a statement runs. */
  constant?: boolean;
  /** The literal behind it, where there is one. */
  literal?: Value;
  /** Of a parameter without a type: is told the column that takes its value. */
  storedIn?(column: Column): void;
  /** An int literal's digits count for decimal arithmetic. */
  literalDigits?: number;
}

/** True, false, or null for UNKNOWN. */
export type Condition = (frame: Frame) => boolean | null;

export function newFrame(slots: number, outer: Frame | null, run: Run): Frame {
  return { rows: new Array<Row | null>(slots).fill(null), entries: null, outer, run };
}
