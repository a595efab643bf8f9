/** One batch of a script: its text, the line of the script (from 1) on which it begins, and how often to run it. */
export interface ScriptBatch {
  text: string;
  line: number;
  count: number;
}

const SEPARATOR = /^\s*GO(?:\s+(\d+))?\s*(?:--.*)?;?\s*$/i;

/**
 * Cuts a script at its lines of `GO [count]`, as sqlcmd and Management Studio do; the server itself does not know the
 * word. A GO inside a string, a quoted name or a block comment separates nothing, and batches of blanks are left out.
 * https://learn.microsoft.com/sql/t-sql/language-elements/sql-server-utilities-statements-go
 */
export function splitOnGo(text: string): ScriptBatch[] {
  const batches: ScriptBatch[] = [];
  const lines = text.split("\n");
  let batch: string[] = [];
  let first = 1;
  let state: State = { closing: "", depth: 0 };
  const end = (nextLine: number, count: number) => {
    const joined = batch.join("\n");
    if (joined.trim() !== "") batches.push({ text: joined, line: first, count });
    batch = [];
    first = nextLine;
  };
  lines.forEach((line, index) => {
    const separator = state.closing === "" && state.depth === 0 ? SEPARATOR.exec(line) : null;
    if (separator !== null) {
      end(index + 2, separator[1] === undefined ? 1 : Number(separator[1]));
      return;
    }
    batch.push(line);
    state = after(line, state);
  });
  end(lines.length + 1, 1);
  return batches;
}

/** What a line ends inside of: quotes that wait for `closing`, or block comments `depth` deep; else neither. */
interface State {
  closing: string;
  depth: number;
}

const CLOSING: Record<string, string> = { "'": "'", '"': '"', "[": "]" };

function after(line: string, before: State): State {
  let { closing, depth } = before;
  for (let i = 0; i < line.length; i++) {
    const character = line[i]!;
    const pair = character + (line[i + 1] ?? "");
    if (depth > 0) {
      if (pair === "*/") depth--;
      else if (pair === "/*") depth++;
      else continue;
      i++;
    } else if (closing !== "") {
      // A doubled closing quote closes and, at the next character, opens again: the state is the same.
      if (character !== closing) continue;
      if (closing === "]" && pair === "]]") i++;
      else closing = "";
    } else if (pair === "--") {
      break;
    } else if (pair === "/*") {
      depth = 1;
      i++;
    } else {
      closing = CLOSING[character] ?? "";
    }
  }
  return { closing, depth };
}
