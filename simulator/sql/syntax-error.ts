/**
 * What SQL Server answers to a text that it cannot parse. Number, message and severity are SQL Server's own
 * (https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors), the line is
 * counted from 1 in the batch.
 */
export class SqlSyntaxError extends Error {
  override readonly name = "SqlSyntaxError";
  readonly number: number;
  readonly line: number;
  readonly state: number;
  readonly severity = 15;

  constructor(number: number, message: string, line: number, state = 1) {
    super(message);
    this.number = number;
    this.line = line;
    this.state = state;
  }
}

/**
 * Thrown inside the parser when it meets a clause that SQL Server knows and the syntax tree does not. The statement
 * parser turns it into an `unsupported` statement, so that it never leaves the parser.
 */
export class UnsupportedSyntax extends Error {
  readonly what: string;

  constructor(what: string) {
    super(what);
    this.what = what;
  }
}
