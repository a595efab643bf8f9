/** Checkpoints in a file, for source databases that are read-only. For several processes of one machine. */
import type { SQLOutputValue } from "node:sqlite";
import { FencedError } from "../../errors.ts";
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
import { type FileSchema, SqliteFile } from "../../sqlite/file.ts";

const schema: FileSchema = {
  what: "the checkpoint file",
  applicationId: 0x6473_4350,
  version: 1,
  // `start_lsn` is NULL while a table is owned and has no checkpoint; `updated` in Unix ms.
  create: `
    CREATE TABLE checkpoint (
      name TEXT PRIMARY KEY COLLATE NOCASE, schema TEXT NOT NULL, "table" TEXT NOT NULL,
      start_lsn TEXT, command_id INTEGER, seqval TEXT, operation INTEGER, commit_time TEXT,
      token INTEGER NOT NULL, updated INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
};

/** Came later than the file's first version, and leaves it readable for that. */
const FAILURES =
  'CREATE TABLE IF NOT EXISTS failure (name TEXT PRIMARY KEY COLLATE NOCASE, schema TEXT NOT NULL, "table" TEXT NOT NULL, ' +
  "error TEXT NOT NULL, since INTEGER NOT NULL) STRICT, WITHOUT ROWID";

type Row = Record<string, SQLOutputValue>;

export class FileCheckpointStore implements CheckpointStore {
  readonly #path: string;
  #opened: Promise<SqliteFile> | null = null;

  /** The file is made, with its folder, where it is missing. */
  constructor(path: string) {
    this.#path = path;
  }

  async prepare(): Promise<void> {
    await this.#file();
  }

  async claim(
    table: TableName,
    atLeast: FencingToken,
  ): Promise<{ token: FencingToken; checkpoint: Checkpoint | null }> {
    const file = await this.#file();
    const take = () => {
      const row = rowOf(file, table);
      const token = Math.max(atLeast, Number(row?.["token"] ?? 0) + 1);
      file
        .statement(
          'INSERT INTO checkpoint (name, schema, "table", token, updated) VALUES (?, ?, ?, ?, ?) ' +
            "ON CONFLICT (name) DO UPDATE SET token = excluded.token",
        )
        .run(checkpointKey(table), table.schema, table.table, token, Date.now());
      return { token, checkpoint: row === undefined ? null : checkpointOf(row) };
    };
    return await file.write(take, { durable: true });
  }

  async save(table: TableName, checkpoint: Checkpoint, token: FencingToken): Promise<void> {
    const refused = await this.saveAll([{ table, checkpoint, token }]);
    if (refused.length > 0)
      throw new FencedError(
        `The checkpoint of ${fullName(table)} has a newer owner than token ${token}: nothing was saved.`,
      );
  }

  async saveAll(entries: { table: TableName; checkpoint: Checkpoint; token: FencingToken }[]): Promise<TableName[]> {
    const file = await this.#file();
    const write = () => {
      const update = file.statement(
        "UPDATE checkpoint SET start_lsn = ?, command_id = ?, seqval = ?, operation = ?, commit_time = ?, updated = ? " +
          "WHERE name = ? AND token = ?",
      );
      return entries.filter(({ table, checkpoint, token }) => {
        const { changes } = update.run(...valuesOf(checkpoint), Date.now(), checkpointKey(table), token);
        if (Number(changes) > 0) forgetFailure(file, table);
        return Number(changes) === 0;
      });
    };
    const refused = await file.write(write, { durable: true });
    return refused.map(({ table }) => table);
  }

  async load(table: TableName): Promise<StoredCheckpoint | null> {
    const file = await this.#file();
    const row = await file.read(() => rowOf(file, table));
    return row === undefined ? null : (stored(row)[0] ?? null);
  }

  async list(): Promise<StoredCheckpoint[]> {
    const file = await this.#file();
    const rows = await file.read(() => file.statement("SELECT * FROM checkpoint ORDER BY name").all() as Row[]);
    return rows.flatMap(stored);
  }

  async force(table: TableName, checkpoint: Checkpoint): Promise<void> {
    const file = await this.#file();
    const write = () => {
      forgetFailure(file, table);
      file
        .statement(
          'INSERT INTO checkpoint (name, schema, "table", start_lsn, command_id, seqval, operation, commit_time, token, updated) ' +
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT (name) DO UPDATE SET start_lsn = excluded.start_lsn, " +
            "command_id = excluded.command_id, seqval = excluded.seqval, operation = excluded.operation, " +
            "commit_time = excluded.commit_time, token = token + 1, updated = excluded.updated",
        )
        .run(checkpointKey(table), table.schema, table.table, ...valuesOf(checkpoint), Date.now());
    };
    await file.write(write, { durable: true });
  }

  async noteFailure(table: TableName, error: string | null): Promise<void> {
    const file = await this.#file();
    await file.write(() => {
      forgetFailure(file, table);
      if (error === null || rowOf(file, table) === undefined) return;
      file
        .statement("INSERT INTO failure VALUES (?, ?, ?, ?, ?)")
        .run(checkpointKey(table), table.schema, table.table, error, Date.now());
    });
  }

  async failures(): Promise<Failure[]> {
    const file = await this.#file();
    const rows = await file.read(() => file.statement("SELECT * FROM failure ORDER BY name").all() as Row[]);
    return rows.map((row) => ({
      table: tableOf(row),
      error: row["error"] as string,
      since: new Date(Number(row["since"])),
    }));
  }

  async close(): Promise<void> {
    const file = await this.#opened;
    this.#opened = null;
    await file?.close();
  }

  #file(): Promise<SqliteFile> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = null;
      throw error;
    });
    return this.#opened;
  }

  async #open(): Promise<SqliteFile> {
    const file = await SqliteFile.open(this.#path, schema);
    await file.write(() => void file.statement(FAILURES).run());
    return file;
  }
}

function forgetFailure(file: SqliteFile, table: TableName): void {
  file.statement("DELETE FROM failure WHERE name = ?").run(checkpointKey(table));
}

function tableOf(row: Row): TableName {
  return { schema: row["schema"] as string, table: row["table"] as string };
}

function rowOf(file: SqliteFile, table: TableName): Row | undefined {
  return file.statement("SELECT * FROM checkpoint WHERE name = ?").get(checkpointKey(table)) as Row | undefined;
}

function valuesOf({ position, commitTime }: Checkpoint): [string, number, string, number, string | null] {
  return [position.startLsn, position.commandId, position.seqval, position.operation, commitTime];
}

function checkpointOf(row: Row): Checkpoint | null {
  if (row["start_lsn"] === null) return null;
  return {
    position: {
      startLsn: row["start_lsn"] as string,
      commandId: Number(row["command_id"]),
      seqval: row["seqval"] as string,
      operation: Number(row["operation"]),
    },
    commitTime: row["commit_time"] as string | null,
  };
}

function stored(row: Row): StoredCheckpoint[] {
  const checkpoint = checkpointOf(row);
  if (checkpoint === null) return [];
  return [
    { ...checkpoint, table: tableOf(row), token: Number(row["token"]), updatedAt: new Date(Number(row["updated"])) },
  ];
}
