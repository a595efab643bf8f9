/**
 * What happens in the file, step by step. Each method is synchronous and runs inside a transaction that its caller opens
 * (SqliteFile.write), unless it says that it only reads.
 */
import { randomInt } from "node:crypto";
import type { SQLOutputValue } from "node:sqlite";
import type { Message } from "../../change/message.ts";
import { hasEnded, type ProcessIdentity } from "../../process-identity.ts";
import type { SqliteFile } from "../../sqlite/file.ts";
import type { DeadLetter, Entity, EntityCounts } from "../transport.ts";

/** Ids are remembered for at least this long, or for at least this many sends of the file, whichever comes first. */
export interface MemoryWindow {
  rememberMs: number;
  rememberIds: number;
}

/** One key's messages, held by this process. */
export interface Held {
  lane: number;
  lease: number;
  key: string;
  messages: StoredMessage[];
}

export interface StoredMessage extends Message {
  readonly seq: number;
}

export interface ClaimLimit {
  rows: number;
  bytes: number;
}

type Row = Record<string, SQLOutputValue>;

/** Keys that one claim looks at; what is beyond is looked at by the next. */
const LANES_A_CLAIM = 100;
/** A look costs a few system calls a process, so a busy receiver does not look every time. */
const LOOK_FOR_ENDED_MS = 100;

export class QueueStore {
  #file: SqliteFile;
  #window: MemoryWindow;
  #leaseMs: number;
  #lookedForEnded = Number.NEGATIVE_INFINITY;

  constructor(file: SqliteFile, options: MemoryWindow & { leaseMs: number }) {
    this.#file = file;
    this.#window = options;
    this.#leaseMs = options.leaseMs;
  }

  ensure(entity: Entity): void {
    this.#run("INSERT INTO queue (kind, name, subscription) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", ...names(entity));
  }

  /** Reads. The queue that an entity is received from; null where it is missing. */
  queueOf(entity: Entity): number | null {
    const row = this.#get("SELECT id FROM queue WHERE kind = ? AND name = ? AND subscription = ?", ...names(entity));
    return row === undefined ? null : Number(row["id"]);
  }

  /** Everything that a send to this entity goes to: the queue, or every subscription of the topic. */
  queuesOf(entity: Entity): number[] {
    const sql = "SELECT id FROM queue WHERE kind = ? AND name = ? ORDER BY id";
    return this.#all(sql, entity.kind, entity.name).map((row) => Number(row["id"]));
  }

  add(queues: readonly number[], messages: readonly Message[]): void {
    const { known, remember } = this.#memory(queues.length * messages.length);
    const insert = this.#file.statement("INSERT INTO message (lane, id, properties, body) VALUES (?, ?, ?, ?)");
    for (const queue of queues) {
      const lanes = new Map<string, number>();
      let added = 0;
      for (const { id, key, properties, body } of messages) {
        if (known.get(queue, id) !== undefined || remember.run(queue, id).changes === 0) continue;
        let lane = lanes.get(key);
        if (lane === undefined) lanes.set(key, (lane = this.#laneOf(queue, key)));
        insert.run(lane, id, JSON.stringify(properties), body);
        added++;
      }
      this.#count(queue, added, messages.length - added);
    }
  }

  /** Reads. Whether a claim would find something, now. */
  hasWork(queue: number): boolean {
    const free = "SELECT 1 FROM lane WHERE queue = ? AND until = 0 LIMIT 1";
    const expired = "SELECT 1 FROM lane WHERE queue = ? AND until > 0 AND until < ? LIMIT 1";
    return this.#get(free, queue) !== undefined || this.#get(expired, queue, Date.now()) !== undefined;
  }

  /** Reads. Processes that were killed while they could hold keys; looked for ten times a second at most. */
  ended(): number[] {
    if (performance.now() - this.#lookedForEnded < LOOK_FOR_ENDED_MS) return [];
    this.#lookedForEnded = performance.now();
    const holders = this.#all("SELECT * FROM holder");
    return holders.filter((row) => hasEnded(row as unknown as ProcessIdentity)).map((row) => Number(row["id"]));
  }

  /** Frees what ended processes held, at once: nobody has to wait for the lease of a process that was killed. */
  bury(ended: readonly number[]): void {
    for (const holder of ended) this.leave(holder);
  }

  /** Takes keys that nobody holds, those that wait longest first, until the limit is reached; at least one message. */
  claim(queue: number, holder: number, limit: ClaimLimit): Held[] {
    const now = Date.now();
    this.#run(
      "UPDATE lane SET until = 0, lease = NULL, holder = NULL WHERE queue = ? AND until > 0 AND until < ?",
      queue,
      now,
    );
    const lanes = "SELECT id, key FROM lane WHERE queue = ? AND until = 0 ORDER BY turn LIMIT ?";
    const held: Held[] = [];
    let { rows, bytes } = limit;
    for (const row of this.#all(lanes, queue, LANES_A_CLAIM)) {
      const lane = Number(row["id"]);
      const key = String(row["key"]);
      const messages = this.#messagesOf(lane, key, rows, bytes, held.length === 0);
      if (messages.length === 0) {
        if (held.length > 0) break; // too large for what is left; the next claim begins with it
        this.#free(lane, null); // its process was killed when it had dead-lettered all of it
        continue;
      }
      for (const { body } of messages) bytes -= body.length;
      rows -= messages.length;
      const lease = randomInt(1, 2 ** 48 - 1);
      const take = "UPDATE lane SET until = ?, lease = ?, holder = ? WHERE id = ?";
      this.#run(take, now + this.#leaseMs, lease, holder, lane);
      held.push({ lane, lease, key, messages });
      if (rows <= 0 || bytes <= 0) break;
    }
    return held;
  }

  /** False, and nothing is changed, if somebody else has taken the key. */
  renew(held: Held): boolean {
    const renew = "UPDATE lane SET until = ? WHERE id = ? AND lease = ?";
    return this.#run(renew, Date.now() + this.#leaseMs, held.lane, held.lease) > 0;
  }

  /** Removes what this delivery held and still has. False, and nothing is changed, if somebody else has taken the key. */
  complete(queue: number, held: Held): boolean {
    if (!this.renew(held)) return false;
    const remove = "DELETE FROM message WHERE lane = ? AND seq BETWEEN ? AND ?";
    const removed = this.#run(remove, held.lane, held.messages[0]!.seq, held.messages.at(-1)!.seq);
    this.#count(queue, -removed, 0);
    this.#free(held.lane, this.#nextTurn());
    return true;
  }

  /** The key keeps its place in line. */
  abandon(held: Held): boolean {
    if (!this.renew(held)) return false;
    this.#free(held.lane, null);
    return true;
  }

  deadLetter(queue: number, held: Held, message: StoredMessage, reason: string): boolean {
    if (!this.renew(held)) return false;
    const copy =
      "INSERT INTO dead_letter (queue, since, reason, key, message, properties, body) " +
      "SELECT ?, ?, ?, ?, id, properties, body FROM message WHERE seq = ? AND lane = ?";
    const copied = this.#run(copy, queue, Date.now(), reason, held.key, message.seq, held.lane);
    if (copied === 0) return true; // dead-lettered before: the answer to the first call was lost to its caller
    this.#run("DELETE FROM message WHERE seq = ?", message.seq);
    this.#count(queue, -1, 0);
    return true;
  }

  /** Reads. */
  deadLetters(queue: number, limit: number): DeadLetter[] {
    return this.#all("SELECT * FROM dead_letter WHERE queue = ? ORDER BY id LIMIT ?", queue, limit).map(toDeadLetter);
  }

  /** Reads. */
  findDeadLetter(queue: number, id: number): DeadLetter | null {
    const row = this.#get("SELECT * FROM dead_letter WHERE queue = ? AND id = ?", queue, id);
    return row === undefined ? null : toDeadLetter(row);
  }

  /** Back to the end of its key. Its id is known, of course; that is no reason to drop it. */
  replay(queue: number, id: number): boolean {
    const letter = this.findDeadLetter(queue, id);
    if (letter === null) return false;
    const copy =
      "INSERT INTO message (lane, id, properties, body) SELECT ?, message, properties, body FROM dead_letter WHERE id = ?";
    this.#run(copy, this.#laneOf(queue, letter.message.key), id);
    this.#run("DELETE FROM dead_letter WHERE id = ?", id);
    this.#count(queue, 1, 0);
    return true;
  }

  /** Reads. */
  counts(queue: number): EntityCounts {
    const row = this.#get("SELECT pending, repeats FROM queue WHERE id = ?", queue)!;
    const dead = this.#get("SELECT count(*) AS n FROM dead_letter WHERE queue = ?", queue)!;
    return { pending: Number(row["pending"]), repeats: Number(row["repeats"]), deadLettered: Number(dead["n"]) };
  }

  /** Names this process as one that may hold keys. */
  enter(identity: ProcessIdentity): number {
    const insert = "INSERT INTO holder (host, pid, realm, started) VALUES (?, ?, ?, ?)";
    const { host, pid, realm, started } = identity;
    return Number(this.#file.statement(insert).run(host, pid, realm, started).lastInsertRowid);
  }

  leave(holder: number): void {
    this.#run("UPDATE lane SET until = 0, lease = NULL, holder = NULL WHERE holder = ?", holder);
    this.#run("DELETE FROM holder WHERE id = ?", holder);
  }

  #laneOf(queue: number, key: string): number {
    const row = this.#get("SELECT id FROM lane WHERE queue = ? AND key = ?", queue, key);
    if (row !== undefined) return Number(row["id"]);
    const insert = "INSERT INTO lane (queue, key, turn) VALUES (?, ?, ?)";
    return Number(this.#file.statement(insert).run(queue, key, this.#nextTurn()).lastInsertRowid);
  }

  /** To the end of the line (or with its old turn) if it has messages; gone if not. */
  #free(lane: number, turn: number | null): void {
    if (this.#get("SELECT 1 FROM message WHERE lane = ? LIMIT 1", lane) === undefined) {
      this.#run("DELETE FROM lane WHERE id = ?", lane);
      return;
    }
    const free = "UPDATE lane SET until = 0, lease = NULL, holder = NULL, turn = coalesce(?, turn) WHERE id = ?";
    this.#run(free, turn, lane);
  }

  #nextTurn(): number {
    return Number(this.#get("UPDATE turn SET next = next + 1 RETURNING next")!["next"]);
  }

  #messagesOf(lane: number, key: string, rows: number, bytes: number, atLeastOne: boolean): StoredMessage[] {
    const messages: StoredMessage[] = [];
    const sql = "SELECT seq, id, properties, body FROM message WHERE lane = ? ORDER BY seq LIMIT ?";
    for (const row of this.#file.statement(sql).iterate(lane, rows)) {
      const body = row["body"] as Uint8Array;
      if (bytes < body.length && !(atLeastOne && messages.length === 0)) break;
      bytes -= body.length;
      messages.push({ seq: Number(row["seq"]), ...toMessage(row["id"], key, row) });
    }
    return messages;
  }

  #memory(adding: number) {
    const row = this.#get("SELECT current, count, since FROM memory")!;
    let current = Number(row["current"]);
    const full = Number(row["count"]) + adding > this.#window.rememberIds;
    if (full || Date.now() - Number(row["since"]) > this.#window.rememberMs) {
      current = 1 - current;
      this.#run(`DELETE FROM remembered_${current}`); // without WHERE: SQLite drops its pages unread
      this.#run("UPDATE memory SET current = ?, count = ?, since = ?", current, adding, Date.now());
    } else {
      this.#run("UPDATE memory SET count = count + ?", adding);
    }
    return {
      known: this.#file.statement(`SELECT 1 FROM remembered_${1 - current} WHERE queue = ? AND id = ?`),
      remember: this.#file.statement(
        `INSERT INTO remembered_${current} (queue, id) VALUES (?, ?) ON CONFLICT DO NOTHING`,
      ),
    };
  }

  #count(queue: number, pending: number, repeats: number): void {
    this.#run("UPDATE queue SET pending = pending + ?, repeats = repeats + ? WHERE id = ?", pending, repeats, queue);
  }

  #run(sql: string, ...values: (string | number | null)[]): number {
    return Number(this.#file.statement(sql).run(...values).changes);
  }

  #get(sql: string, ...values: (string | number)[]): Row | undefined {
    return this.#file.statement(sql).get(...values);
  }

  #all(sql: string, ...values: (string | number)[]): Row[] {
    return this.#file.statement(sql).all(...values);
  }
}

function names(entity: Entity): [string, string, string] {
  return [entity.kind, entity.name, entity.kind === "topic" ? entity.subscription : ""];
}

function toMessage(id: SQLOutputValue | undefined, key: string, row: Row): Message {
  const body = row["body"] as Uint8Array;
  return {
    id: String(id),
    key,
    properties: JSON.parse(String(row["properties"])) as Record<string, string>,
    body: Buffer.from(body.buffer, body.byteOffset, body.byteLength),
  };
}

function toDeadLetter(row: Row): DeadLetter {
  return {
    id: String(row["id"]),
    message: toMessage(row["message"], String(row["key"]), row),
    reason: String(row["reason"]),
    since: new Date(Number(row["since"])),
  };
}
