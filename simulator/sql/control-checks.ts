import type { Statement } from "./ast.ts";
import { SqlSyntaxError } from "./syntax-error.ts";

/**
 * What SQL Server says of a batch's or module's control flow before any of it runs: jumps without a target, and values returned to
 * nobody. https://learn.microsoft.com/sql/t-sql/language-elements/control-of-flow
 */
export function checkControl(statements: readonly Statement[], returnsValue: boolean): void {
  const labels = new Set<string>();
  collectLabels(statements, labels);
  checkList(statements, { labels, visible: new Set(), looping: false, returnsValue });
}

interface Surroundings {
  /** All of the batch, in lower case; and those of the lists around a statement. */
  labels: ReadonlySet<string>;
  visible: ReadonlySet<string>;
  looping: boolean;
  returnsValue: boolean;
}

function collectLabels(statements: readonly Statement[], labels: Set<string>): void {
  for (const statement of statements) {
    if (statement.kind === "label") {
      const name = statement.name.toLowerCase();
      if (labels.has(name))
        throw new SqlSyntaxError(
          132,
          `The label '${statement.name}' has already been declared. Label names must be unique within a query batch or stored procedure.`,
          statement.line,
        );
      labels.add(name);
    }
    for (const list of listsIn(statement)) collectLabels(list, labels);
  }
}

function checkList(statements: readonly Statement[], around: Surroundings): void {
  const own = statements.flatMap((statement) => (statement.kind === "label" ? [statement.name.toLowerCase()] : []));
  const here = { ...around, visible: new Set([...around.visible, ...own]) };
  for (const statement of statements) {
    checkStatement(statement, here);
    const inside = statement.kind === "while" ? { ...here, looping: true } : here;
    for (const list of listsIn(statement)) checkList(list, inside);
  }
}

function checkStatement(statement: Statement, { labels, visible, looping, returnsValue }: Surroundings): void {
  const refuse = (number: number, message: string) => new SqlSyntaxError(number, message, statement.line);
  switch (statement.kind) {
    case "break":
      if (!looping) throw refuse(135, "Cannot use a BREAK statement outside the scope of a WHILE statement.");
      return;
    case "continue":
      if (!looping) throw refuse(136, "Cannot use a CONTINUE statement outside the scope of a WHILE statement.");
      return;
    case "goto": {
      const name = statement.label.toLowerCase();
      if (!labels.has(name))
        throw refuse(
          133,
          `A GOTO statement references the label '${statement.label}' but the label has not been declared.`,
        );
      if (!visible.has(name)) throw refuse(40510, "The simulator does not support GOTO into a block.");
      return;
    }
    case "return":
      if (statement.value && !returnsValue)
        throw refuse(178, "A RETURN statement with a return value cannot be used in this context.");
  }
}

function listsIn(statement: Statement): (readonly Statement[])[] {
  switch (statement.kind) {
    case "block":
      return [statement.body];
    case "if":
      return statement.else ? [[statement.then], [statement.else]] : [[statement.then]];
    case "while":
      return [[statement.body]];
    case "try":
      return [statement.body, statement.handler];
    default:
      return [];
  }
}
