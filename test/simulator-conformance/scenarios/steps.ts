/** Short forms of the steps that scenarios are mostly made of. */
import type { Cell, Expected, ExpectedError, Parameter, Step } from "../scenario.ts";

export function run(sql: string, expect?: Expected): Step {
  return expect ? { do: "batch", sql, expect } : { do: "batch", sql };
}

/** One result set; numbers stand for their text. */
export function rows(sql: string, expected: (Cell | number)[][], types?: string[]): Step {
  return { do: "batch", sql, expect: { sets: [{ rows: texts(expected), ...(types && { types }) }] } };
}

export function texts(expected: (Cell | number)[][]): Cell[][] {
  return expected.map((row) => row.map((cell) => (typeof cell === "number" ? String(cell) : cell)));
}

export function fails(sql: string, number: number, details: Omit<ExpectedError, "number"> = {}): Step {
  return { do: "batch", sql, expect: { error: { number, ...details } } };
}

export function affects(sql: string, affected: number): Step {
  return { do: "batch", sql, expect: { affected } };
}

export function int(name: string, value: number | null): Parameter {
  return { name, type: "int", text: value === null ? null : String(value) };
}

export function nvarchar(name: string, text: string | null): Parameter {
  return { name, type: "nvarchar(100)", text };
}
