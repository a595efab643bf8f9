/**
 * What the broker keeps: entities and their messages, in one SQLite file, so that a killed broker has what it has accepted. Locks are
 * in memory, as a restarted one has forgotten them.
 */
import { DatabaseSync } from "node:sqlite";

export interface EntityRow {
  /** As in its address: `queue`, `topic`, `topic/Subscriptions/name`. */
  path: string;
  kind: "QueueDescription" | "TopicDescription" | "SubscriptionDescription";
  /** As the administration API has them. */
  properties: Record<string, string>;
}

export interface StoredMessage {
  /** Sequence number: rises over the whole broker. */
  seq: number;
  entity: string;
  session: string | null;
  messageId: string | null;
  /** An encoded AMQP message. */
  raw: Buffer;
  deliveries: number;
  enqueued: number;
  /** Of a dead letter. */
  reason: string | null;
  description: string | null;
}

export class Store {
  readonly #db: DatabaseSync;

  constructor(file: string) {
    this.#db = new DatabaseSync(file);
    // Written through to the system with each commit: that outlives the process, not the machine.
    this.#db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
      CREATE TABLE IF NOT EXISTS entity (path TEXT PRIMARY KEY COLLATE NOCASE, kind TEXT, properties TEXT) STRICT;
      CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY AUTOINCREMENT, entity TEXT, session TEXT, message_id TEXT, raw BLOB,
        deliveries INTEGER, enqueued INTEGER, reason TEXT, description TEXT) STRICT;
      CREATE TABLE IF NOT EXISTS seen (entity TEXT, message_id TEXT, at INTEGER, PRIMARY KEY (entity, message_id)) STRICT, WITHOUT ROWID;
      CREATE INDEX IF NOT EXISTS seen_at ON seen (entity, at);`);
  }

  transaction<T>(work: () => T): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      this.#db.exec("ROLLBACK");
      throw error;
    }
  }

  entities(): EntityRow[] {
    return this.#db
      .prepare("SELECT * FROM entity")
      .all()
      .map((row) => ({ ...row, properties: JSON.parse(String(row["properties"])) }) as unknown as EntityRow);
  }

  putEntity({ path, kind, properties }: EntityRow): void {
    this.#db.prepare("INSERT OR REPLACE INTO entity VALUES (?, ?, ?)").run(path, kind, JSON.stringify(properties));
  }

  removeEntity(path: string): void {
    this.#db.prepare("DELETE FROM entity WHERE path = ? COLLATE NOCASE").run(path);
    for (const table of ["message", "seen"])
      this.#db
        .prepare(`DELETE FROM ${table} WHERE entity = ? COLLATE NOCASE OR entity LIKE ? || '/$%'`)
        .run(path, path);
  }

  messages(): StoredMessage[] {
    return this.#db
      .prepare(
        "SELECT seq, entity, session, message_id AS messageId, raw, deliveries, enqueued, reason, description FROM message ORDER BY seq",
      )
      .all()
      .map((row) => ({ ...row, raw: Buffer.from(row["raw"] as Uint8Array) }) as unknown as StoredMessage);
  }

  /** Its sequence number. */
  add(message: Omit<StoredMessage, "seq">): number {
    const { entity, session, messageId, raw, deliveries, enqueued, reason, description } = message;
    const { lastInsertRowid } = this.#db
      .prepare(
        "INSERT INTO message (entity, session, message_id, raw, deliveries, enqueued, reason, description) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
      )
      .run(entity, session, messageId, raw, deliveries, enqueued, reason, description);
    return Number(lastInsertRowid);
  }

  delivered(seq: number, deliveries: number): void {
    this.#db.prepare("UPDATE message SET deliveries = ? WHERE seq = ?").run(deliveries, seq);
  }

  remove(seq: number): void {
    this.#db.prepare("DELETE FROM message WHERE seq = ?").run(seq);
  }

  /** False: an entity had a message of that id within the window. */
  firstSeen(entity: string, messageId: string, now: number, windowMs: number): boolean {
    this.#db.prepare("DELETE FROM seen WHERE entity = ? AND at < ?").run(entity, now - windowMs);
    return this.#db.prepare("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)").run(entity, messageId, now).changes > 0;
  }
}
