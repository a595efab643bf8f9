/** What a check found. */
export interface Finding {
  severity: "error" | "warning" | "ok" | "info";
  /** "database TestDB", "table dbo.Persons", "capture job". */
  subject: string;
  message: string;
  /** The exact T-SQL or setting. */
  fix?: string;
}

/** What the checks ask the server by, and whom the fixes are for. */
export interface CheckContext {
  /** The rows of the first result set. */
  ask(sql: string): Promise<unknown[][]>;
  database: string;
  /** The database user that the login is. */
  user: string;
}
