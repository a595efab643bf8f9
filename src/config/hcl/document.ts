/** An evaluated HCL file: blocks, attributes and values, each with the place where it stands. */

/** Line and column from 1; the column counts UTF-16 units, as editors do. */
export interface Place {
  line: number;
  column: number;
}

export interface Body {
  attributes: Attribute[];
  blocks: Block[];
}

export interface Attribute {
  name: string;
  at: Place;
  value: Value;
}

export interface Block {
  type: string;
  at: Place;
  labels: string[];
  body: Body;
}

/** `secret`: the value came, as a whole or in part, from the environment, so nobody prints it. */
export type Value = { at: Place; secret: boolean } & (
  | { kind: "string"; value: string }
  | { kind: "number"; value: number }
  | { kind: "boolean"; value: boolean }
  | { kind: "null" }
  | { kind: "list"; items: Value[] }
  | { kind: "object"; entries: Map<string, Value> }
  /** Could not be evaluated; the problem is noted already. */
  | { kind: "unknown" }
);

/** Takes down what is wrong. Messages and suggestions never hold values of the environment. */
export type Note = (at: Place, message: string, suggestion?: string) => void;

export type Environment = Readonly<Record<string, string | undefined>>;

/** From offsets in a text to places. */
export function placeFinder(text: string): (offset: number) => Place {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - starts[low]! + 1 };
  };
}
