/** The row code of one capture instance, compiled when a result's columns are seen for the first time. */
import type { WireColumn } from "../wire/types.ts";
import { compileRow, type RowCode, type RowPlan } from "./row-code.ts";

export class CompiledRows {
  readonly #plan: RowPlan;
  readonly #codes = new Map<string, RowCode>();

  constructor(plan: RowPlan) {
    this.#plan = plan;
  }

  codeFor(columns: readonly WireColumn[]): RowCode {
    const shape = columns.map(
      ({ name, type, framing, size, scale, collation }) =>
        `${name}:${type}:${framing}:${size}:${scale}:${collation === null ? "" : Buffer.from(collation).toString("hex")}`,
    );
    const key = shape.join("\n");
    const known = this.#codes.get(key);
    if (known) return known;
    const code = compileRow(this.#plan, columns);
    this.#codes.set(key, code);
    return code;
  }
}
