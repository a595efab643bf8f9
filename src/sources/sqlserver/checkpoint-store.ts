/** Checkpoints in a table of the source database: dstream's first version made it, this one adds columns to it. */
import { FencedError, SourceError } from "../../errors.ts";
import {
  type Checkpoint,
  type CheckpointStore,
  checkpointKey,
  type Failure,
  fullName,
  type StoredCheckpoint,
  type TableName,
} from "../../ingester/checkpoint.ts";
import type { FencingToken } from "../../locks/lock.ts";
import {
  addedColumns,
  assignments,
  checkpointParameters,
  createTable,
  failureOf,
  firstVersionColumns,
  readRow,
  rowColumns,
  storedCheckpoint,
} from "./checkpoint-rows.ts";
import { type ConnectionTimes, type Parameter, SqlConnection } from "./connection.ts";
import type { SqlServerTarget } from "./connection-string.ts";
import { quoteName, quoteText } from "./quote.ts";

/** Two processes made the same table or column at once; one row twice. The second try finds it. */
const RACES = new Set([2705, 2714, 2627, 2601]);
const MOST_TRIES = 5;

/** Rows that one statement writes: its text has one of these lengths, filled up with NULL, so that few plans do. */
const LENGTHS = [1, 8, 64, 256];
/** Of the column. */
const LONGEST_ERROR = 4_000;
const NEVER = new AbortController().signal;

export class SqlServerCheckpointStore implements CheckpointStore {
  readonly #connection: SqlConnection;
  readonly #table: string;
  /** As it was written. */
  readonly #name: string;

  /** `table`: `cdc_offsets`, or `schema.table`. */
  constructor(target: SqlServerTarget, table: string, times: Partial<ConnectionTimes> = {}) {
    // A read-only replica takes no checkpoints, even where the changes are read from one.
    this.#connection = new SqlConnection({ ...target, applicationIntent: "ReadWrite" }, times);
    const parts = table.split(".");
    const name = parts.pop()!;
    this.#table = `${quoteName(parts.join(".") || "dbo")}.${quoteName(name)}`;
    this.#name = table;
  }

  async prepare(): Promise<void> {
    const literal = quoteText(this.#table);
    const create = `IF OBJECT_ID(${literal}) IS NULL ${createTable(this.#table)}`;
    const add = Object.entries(addedColumns).map(
      ([name, definition]) =>
        `IF COL_LENGTH(${literal}, N'${name}') IS NULL ALTER TABLE ${this.#table} ADD ${name} ${definition};`,
    );
    // One request each: a batch is compiled before its first statement has made what the others use.
    for (const sql of [create, ...add]) await this.#retried(sql, [], "preparing");
  }

  async claim(
    table: TableName,
    atLeast: FencingToken,
  ): Promise<{ token: FencingToken; checkpoint: Checkpoint | null }> {
    const rows = await this.#retried(
      `UPDATE ${this.#table} SET fencing_token = CASE WHEN fencing_token >= @atLeast THEN fencing_token + 1 ELSE @atLeast END ` +
        `OUTPUT ${rowColumns("inserted.")} WHERE table_name = @name; ` +
        `IF @@ROWCOUNT = 0 INSERT INTO ${this.#table} (table_name, fencing_token, updated_at) ` +
        `OUTPUT ${rowColumns("inserted.")} VALUES (@name, CASE WHEN @atLeast > 1 THEN @atLeast ELSE 1 END, GETDATE());`,
      [nameOf(table), { name: "atLeast", type: "bigint", value: atLeast }],
      `claiming ${fullName(table)} in`,
    );
    const { token, checkpoint } = readRow(rows[0]!);
    return { token, checkpoint };
  }

  async save(table: TableName, checkpoint: Checkpoint, token: FencingToken): Promise<void> {
    const rows = await this.#retried(
      `UPDATE ${this.#table} SET ${assignments("@")} WHERE table_name = @name AND fencing_token = @token; SELECT @@ROWCOUNT;`,
      [nameOf(table), ...checkpointParameters(checkpoint), { name: "token", type: "bigint", value: token }],
      `saving the checkpoint of ${fullName(table)} in`,
    );
    if (rows[0]![0] === 0) throw fenced(table, token);
  }

  async saveAll(entries: { table: TableName; checkpoint: Checkpoint; token: FencingToken }[]): Promise<TableName[]> {
    const most = LENGTHS.at(-1)!;
    const refused: TableName[] = [];
    for (let from = 0; from < entries.length; from += most) {
      const part = entries.slice(from, from + most);
      const saved = await this.#savePart(part);
      refused.push(
        ...part.filter(({ table }) => !saved.has(checkpointKey(table).toLowerCase())).map(({ table }) => table),
      );
    }
    return refused;
  }

  async load(table: TableName): Promise<StoredCheckpoint | null> {
    const rows = await this.#retried(
      `SELECT ${rowColumns("")} FROM ${this.#table} WHERE table_name = @name;`,
      [nameOf(table)],
      `loading the checkpoint of ${fullName(table)} from`,
    );
    return rows.flatMap(storedCheckpoint)[0] ?? null;
  }

  async list(): Promise<StoredCheckpoint[]> {
    const state = await this.#state();
    if (state === "missing") return [];
    const columns = state === "first version" ? firstVersionColumns : rowColumns("");
    const rows = await this.#retried(`SELECT ${columns} FROM ${this.#table} ORDER BY table_name;`, [], "listing");
    return rows.flatMap(storedCheckpoint);
  }

  async force(table: TableName, checkpoint: Checkpoint): Promise<void> {
    await this.#retried(
      `UPDATE ${this.#table} SET ${assignments("@")}, fencing_token = fencing_token + 1 WHERE table_name = @name; ` +
        `IF @@ROWCOUNT = 0 INSERT INTO ${this.#table} ` +
        "(table_name, last_lsn, command_id, last_seq, operation, commit_time, saved_lsn, fencing_token, updated_at) " +
        "VALUES (@name, @lsn, @command, @seqval, @operation, @time, @lsn, 1, GETDATE());",
      [nameOf(table), ...checkpointParameters(checkpoint)],
      `setting the checkpoint of ${fullName(table)} in`,
    );
  }

  async noteFailure(table: TableName, error: string | null): Promise<void> {
    await this.#retried(
      `UPDATE ${this.#table} SET last_error = @error, last_error_at = CASE WHEN @error IS NOT NULL THEN SYSUTCDATETIME() END ` +
        "WHERE table_name = @name;",
      [nameOf(table), { name: "error", type: "nvarchar", value: error?.slice(0, LONGEST_ERROR) ?? null }],
      `noting what stops ${fullName(table)} in`,
    );
  }

  async failures(): Promise<Failure[]> {
    if ((await this.#state()) !== "ready") return [];
    const rows = await this.#retried(
      `SELECT table_name, last_error, last_error_at FROM ${this.#table} WHERE last_error IS NOT NULL ORDER BY table_name;`,
      [],
      "listing what stops tables from",
    );
    return rows.map(failureOf);
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** Asked first by who only reads: a missing column fails its batch even in a branch that is not taken. */
  async #state(): Promise<"missing" | "first version" | "ready"> {
    const literal = quoteText(this.#table);
    const added = Object.keys(addedColumns).at(-1)!;
    const state = `SELECT OBJECT_ID(${literal}), COL_LENGTH(${literal}, N'${added}');`;
    const [[table, upgraded] = []] = await this.#retried(state, [], "listing");
    if (table === null) return "missing";
    return upgraded === null ? "first version" : "ready";
  }

  /** The lower-case keys of what was written. */
  async #savePart(entries: { table: TableName; checkpoint: Checkpoint; token: FencingToken }[]): Promise<Set<string>> {
    const length = LENGTHS.find((length) => length >= entries.length)!;
    const values: string[] = [];
    const parameters: Parameter[] = [];
    for (let index = 0; index < length; index++) {
      const entry = entries[index];
      values.push(
        `(@name${index}, @lsn${index}, @command${index}, @seqval${index}, @operation${index}, @time${index}, @token${index})`,
      );
      parameters.push({ name: `name${index}`, type: "nvarchar", value: entry ? checkpointKey(entry.table) : null });
      parameters.push(...checkpointParameters(entry?.checkpoint ?? null, String(index)));
      parameters.push({ name: `token${index}`, type: "bigint", value: entry?.token ?? null });
    }
    const rows = await this.#retried(
      `UPDATE t SET ${assignments("v.")} OUTPUT inserted.table_name FROM ${this.#table} AS t ` +
        `JOIN (VALUES ${values.join(", ")}) AS v (name, lsn, command, seqval, operation, time, token) ` +
        "ON t.table_name = v.name AND t.fencing_token = v.token;",
      parameters,
      "saving checkpoints of quiet tables in",
    );
    return new Set(rows.map(([name]) => (name as string).toLowerCase()));
  }

  /** The rows of all result sets. */
  async #retried(sql: string, parameters: Parameter[], doing: string): Promise<unknown[][]> {
    for (let attempt = 1; ; attempt++) {
      try {
        const options = { doing: `${doing} the checkpoint table ${this.#name}` };
        const { sets } = await this.#connection.query(sql, parameters, NEVER, options);
        return sets.flatMap(({ rows }) => rows);
      } catch (error) {
        if (error instanceof SourceError && RACES.has(error.number ?? 0) && attempt < MOST_TRIES) continue;
        throw withAdvice(error, this.#table);
      }
    }
  }
}

function nameOf(table: TableName): Parameter {
  return { name: "name", type: "nvarchar", value: checkpointKey(table) };
}

function fenced(table: TableName, token: FencingToken): FencedError {
  return new FencedError(
    `The checkpoint of ${fullName(table)} has a newer owner than token ${token}: nothing was saved.`,
  );
}

/** A table that cannot be written to concerns all tables alike. */
function withAdvice(error: unknown, table: string): unknown {
  if (!(error instanceof SourceError) || error.scope !== "table") return error;
  const advice =
    `The login needs SELECT, INSERT and UPDATE on ${table}; \`dstream check\` prints what makes the table and grants them. ` +
    'Or keep checkpoints in a file: checkpoints { type = "file" }.';
  return new SourceError("fatal", error.message, { advice, cause: error, number: error.number });
}
