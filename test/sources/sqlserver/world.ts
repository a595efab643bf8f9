/** A database under change data capture for stories: a simulator, a source on it, and readers. */
import { type SimulatorOptions, SqlServerSimulator } from "../../../simulator/index.ts";
import type { Message } from "../../../src/change/message.ts";
import { afterTransaction, type Lsn, type Position } from "../../../src/change/position.ts";
import { parseTableName, type TablePattern } from "../../../src/config/tables.ts";
import type { Checkpoint } from "../../../src/ingester/checkpoint.ts";
import type { ChangeBatch, ChangeReader, SourceTable } from "../../../src/ingester/source.ts";
import { parseConnectionString, type SqlServerTarget } from "../../../src/sources/sqlserver/connection-string.ts";
import { SqlServerSource, type SqlServerSourceOptions } from "../../../src/sources/sqlserver/source.ts";
import { silent } from "../../../src/telemetry/logger.ts";

export const never = new AbortController().signal;

export interface RowMessage {
  data: Record<string, unknown>;
  metadata: {
    LSN: Lsn;
    OperationID: number;
    OperationType: string;
    CommandID: number;
    Seq: Lsn;
    CommitTime: string;
    TableName: string;
  };
  before?: Record<string, unknown>;
}

export class World implements AsyncDisposable {
  readonly simulator: SqlServerSimulator;
  readonly target: SqlServerTarget;
  readonly #stack = new AsyncDisposableStack();

  private constructor(simulator: SqlServerSimulator) {
    this.simulator = simulator;
    this.target = parseConnectionString(simulator.connectionStringFor("TestDB"));
    this.#stack.defer(() => simulator.close());
  }

  /** A database TestDB with change data capture on. */
  static async open(options: SimulatorOptions = {}): Promise<World> {
    const simulator = await SqlServerSimulator.start({
      captureInterval: "immediate",
      databases: ["TestDB"],
      seed: 1,
      ...options,
    });
    const world = new World(simulator);
    await world.sql("EXEC sys.sp_cdc_enable_db");
    return world;
  }

  get cdc() {
    return this.simulator.cdc("TestDB");
  }

  async sql(text: string): Promise<(readonly unknown[])[]> {
    return (await this.simulator.query(text, "TestDB")).rows;
  }

  async capture(table: string, more = ""): Promise<void> {
    await this.sql(
      `EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'${table}', @role_name = NULL${more}`,
    );
  }

  /** dbo.Persons, captured. */
  async persons(): Promise<void> {
    await this.sql(
      "CREATE TABLE dbo.Persons (ID int NOT NULL PRIMARY KEY, FirstName nvarchar(50) NULL, LastName nvarchar(50) NULL)",
    );
    await this.capture("Persons");
  }

  source(tables: string[], options: Partial<SqlServerSourceOptions> = {}): SqlServerSource {
    const source = new SqlServerSource({
      target: this.target,
      tables: tables.map(pattern),
      ingestQueue: "ingest-queue",
      logger: silent,
      ...options,
    });
    this.#stack.defer(() => source.close());
    return source;
  }

  defer(close: () => unknown): void {
    this.#stack.defer(async () => {
      await close();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

export function pattern(text: string): TablePattern {
  const parsed = parseTableName(text);
  if (typeof parsed === "string") throw new Error(`${text} ${parsed}`);
  return parsed;
}

export async function firstTable(source: SqlServerSource): Promise<SourceTable> {
  return (await source.tables())[0]!;
}

/** The polled maximum. */
export async function maximum(source: SqlServerSource): Promise<Lsn> {
  return (await source.maximum(never))!.lsn;
}

/** A reader of the table from its beginning. */
export async function readerFromStart(source: SqlServerSource, table: SourceTable): Promise<ChangeReader> {
  return source.reader(table, { position: await source.start(table, never), commitTime: null });
}

export interface ReadBatch extends ChangeBatch {
  messages: Message[];
}

export async function readOnce(
  reader: ChangeReader,
  upTo: Lsn,
  maxRows = 1_000,
  maxBytes = 1_000_000,
): Promise<ReadBatch> {
  const batch = await reader.read({ maxRows, maxBytes, upTo }, never);
  return { ...batch, messages: batch.changes.messages() };
}

/** Every batch up to `upTo`, and the checkpoint after them. */
export async function readToEnd(
  reader: ChangeReader,
  upTo: Lsn,
  maxRows = 1_000,
  maxBytes = 1_000_000,
): Promise<{ messages: Message[]; checkpoint: Checkpoint; batches: ReadBatch[] }> {
  const batches: ReadBatch[] = [];
  for (;;) {
    const batch = await readOnce(reader, upTo, maxRows, maxBytes);
    batches.push(batch);
    const { position, commitTime } = batch;
    if (!batch.more)
      return { messages: batches.flatMap(({ messages }) => messages), checkpoint: { position, commitTime }, batches };
  }
}

export function parse(message: Message): RowMessage {
  return JSON.parse(message.body.toString()) as RowMessage;
}

/** "Insert 1 Ada" and the like. */
export function brief(messages: readonly Message[]): string[] {
  return messages.map(parse).map(({ data, metadata }) => `${metadata.OperationType} ${Object.values(data).join(" ")}`);
}

export function end(lsn: Lsn): Position {
  return afterTransaction(lsn);
}
