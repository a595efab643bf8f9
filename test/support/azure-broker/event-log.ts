/** What an Event Hubs broker keeps: hubs, and the events of their partitions, in one SQLite file, so that a killed broker has what it has accepted. */
import { DatabaseSync, type StatementSync } from "node:sqlite";

export interface StoredEvent {
  seq: number;
  offset: string;
  enqueued: number;
  key: string | null;
  /** The message as the client has sent it, without header and annotations. */
  bare: Buffer;
}

export interface PartitionRow {
  hub: string;
  partition: number;
  /** Of the first event that is kept. */
  begin: number;
  /** Of the last event, kept or not; -1: there was none. */
  last: number;
  lastOffset: string;
  lastEnqueued: number;
  nextOffset: number;
}

export class EventLog {
  readonly #db: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #after: StatementSync;

  constructor(file: string) {
    this.#db = new DatabaseSync(file);
    // Written through to the system with each commit: that outlives the process, not the machine.
    this.#db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
      CREATE TABLE IF NOT EXISTS hub (name TEXT PRIMARY KEY COLLATE NOCASE, created INTEGER) STRICT;
      CREATE TABLE IF NOT EXISTS consumer_group (hub TEXT COLLATE NOCASE, name TEXT, PRIMARY KEY (hub, name)) STRICT;
      CREATE TABLE IF NOT EXISTS part (hub TEXT, partition INTEGER, begin INTEGER, last INTEGER, last_offset TEXT,
        last_enqueued INTEGER, next_offset INTEGER, PRIMARY KEY (hub, partition)) STRICT;
      CREATE TABLE IF NOT EXISTS event (hub TEXT, partition INTEGER, seq INTEGER, at_offset TEXT, enqueued INTEGER, key TEXT, bare BLOB,
        PRIMARY KEY (hub, partition, seq)) STRICT;`);
    this.#insert = this.#db.prepare("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?)");
    this.#update = this.#db.prepare(
      "UPDATE part SET begin = ?, last = ?, last_offset = ?, last_enqueued = ?, next_offset = ? WHERE hub = ? AND partition = ?",
    );
    this.#after = this.#db.prepare(
      "SELECT seq, at_offset AS offset, enqueued, key, bare FROM event WHERE hub = ? AND partition = ? AND seq > ? ORDER BY seq LIMIT ?",
    );
  }

  hubs(): { name: string; created: number }[] {
    return this.#db.prepare("SELECT * FROM hub").all() as never;
  }

  partitions(hub: string): PartitionRow[] {
    return this.#db
      .prepare(
        `SELECT hub, partition, begin, last, last_offset AS lastOffset, last_enqueued AS lastEnqueued, next_offset AS nextOffset
         FROM part WHERE hub = ? ORDER BY partition`,
      )
      .all(hub) as never;
  }

  makeHub(name: string, created: number, partitions: number): void {
    this.#transaction(() => {
      this.#db.prepare("INSERT INTO hub VALUES (?, ?)").run(name, created);
      const part = this.#db.prepare("INSERT INTO part VALUES (?, ?, 0, -1, '-1', 0, 0)");
      for (let partition = 0; partition < partitions; partition++) part.run(name, partition);
    });
  }

  makeGroup(hub: string, name: string): void {
    this.#db.prepare("INSERT OR IGNORE INTO consumer_group VALUES (?, ?)").run(hub, name);
  }

  groups(hub: string): string[] {
    const rows = this.#db.prepare("SELECT name FROM consumer_group WHERE hub = ?").all(hub);
    return rows.map(({ name }) => String(name));
  }

  /** In one transaction. */
  append(row: PartitionRow, events: readonly StoredEvent[]): void {
    this.#transaction(() => {
      for (const { seq, offset, enqueued, key, bare } of events)
        this.#insert.run(row.hub, row.partition, seq, offset, enqueued, key, bare);
      this.#write(row);
    });
  }

  /** Of some events behind that one. */
  after(hub: string, partition: number, seq: number, limit: number): StoredEvent[] {
    return this.#after.all(hub, partition, seq, limit) as never;
  }

  /** As when retention has passed: what stands before is gone. */
  trim(row: PartitionRow): void {
    this.#transaction(() => {
      this.#db
        .prepare("DELETE FROM event WHERE hub = ? AND partition = ? AND seq < ?")
        .run(row.hub, row.partition, row.begin);
      this.#write(row);
    });
  }

  #write({ hub, partition, begin, last, lastOffset, lastEnqueued, nextOffset }: PartitionRow): void {
    this.#update.run(begin, last, lastOffset, lastEnqueued, nextOffset, hub, partition);
  }

  #transaction(work: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#db.exec("COMMIT");
    } catch (error) {
      this.#db.exec("ROLLBACK");
      throw error;
    }
  }
}
