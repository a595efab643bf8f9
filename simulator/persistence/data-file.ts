/**
 * The file that a simulator's data is in: SQLite, so that it is whole after a kill at any moment. Rows, definitions, log records and
 * counters are texts (codec.ts) under their keys. One process at a time.
 */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** Raised when texts of an older simulator would be read as something else. */
const FORMAT = 1;
const APPLICATION_ID = 0x64737369;

const TABLES = `
  CREATE TABLE definitions (database INTEGER, key TEXT, text TEXT NOT NULL, PRIMARY KEY (database, key)) WITHOUT ROWID;
  CREATE TABLE rows (database INTEGER, object INTEGER, entry INTEGER, text TEXT NOT NULL,
    PRIMARY KEY (database, object, entry)) WITHOUT ROWID;
  CREATE TABLE log (database INTEGER, lsn TEXT, text TEXT NOT NULL, PRIMARY KEY (database, lsn)) WITHOUT ROWID;
  CREATE TABLE counters (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;`;

/** A folder, there or named with a slash at its end, stands for a file in it. */
export function dataFileOf(path: string): string {
  const folder = /[\\/]$/.test(path) || (existsSync(path) && statSync(path).isDirectory());
  return resolve(folder ? join(path, "simulator.db") : path);
}

export class DataFile {
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Makes the file if there is none. */
  constructor(path: string) {
    this.path = dataFileOf(path);
    try {
      mkdirSync(dirname(this.path), { recursive: true });
      this.#database = new DatabaseSync(this.path);
      this.#open();
    } catch (error) {
      throw new Error(`${this.path} cannot be the simulator's data file: ${reasonOf(error as Error)}`, {
        cause: error,
      });
    }
  }

  #open(): void {
    // Exclusive: a second simulator on the file is told so. FULL: a commit is on disk when it returns.
    this.#database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    const pragma = (name: string) => this.#database.prepare(`PRAGMA ${name}`).get()![name] as number;
    const version = pragma("user_version");
    const tables = this.#database.prepare("SELECT count(*) AS count FROM sqlite_schema").get()!["count"] as number;
    if (tables > 0 && pragma("application_id") !== APPLICATION_ID) throw new Error("it holds something else");
    if (tables > 0 && version !== FORMAT)
      throw new Error(`it was written by another version of the simulator (format ${version} instead of ${FORMAT})`);
    this.transaction(() => {
      if (tables > 0) return;
      this.#database.exec(`${TABLES} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}`);
    });
  }

  run(sql: string, ...values: (string | number)[]): void {
    this.#prepared(sql).run(...values);
  }

  rows<Row>(sql: string, ...values: (string | number)[]): Iterable<Row> {
    return this.#prepared(sql).iterate(...values) as Iterable<unknown> as Iterable<Row>;
  }

  /** All that `work` writes, or nothing; on disk when this returns. */
  transaction(work: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) this.#statements.set(sql, (statement = this.#database.prepare(sql)));
    return statement;
  }
}

function reasonOf(error: Error): string {
  return /locked|busy/i.test(error.message) ? "another simulator has it open" : error.message;
}
