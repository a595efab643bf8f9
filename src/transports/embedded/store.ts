/**
 * What happens in the file, step by step. Each method is synchronous and runs inside a transaction that its caller opens
 * (SqliteFile.write), unless it says that it only reads.
 */
import { randomInt } from "node:crypto";
import type { SQLOutputValue, StatementSync } from "node:sqlite";
import type { Message } from "../../change/message.ts";
import { hasEnded, type ProcessIdentity } from "../../process-identity.ts";
import type { SqliteFile } from "../../sqlite/file.ts";
import type { DeadLetter, Entity, EntityCounts } from "../transport.ts";
import { cutIntoBlocks, packBlock, type StoredMessage, unpackBlock } from "./block.ts";

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

  /** With all that is in it, and what is remembered of it. */
  remove(queue: number): void {
    this.#run("DELETE FROM message WHERE lane IN (SELECT id FROM lane WHERE queue = ?)", queue);
    for (const table of ["lane", "dead_letter", "remembered_0", "remembered_1"])
      this.#run(`DELETE FROM ${table} WHERE queue = ?`, queue);
    this.#run("DELETE FROM queue WHERE id = ?", queue);
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
    const remembered = this.#memory(queues.length * messages.length);
    for (const queue of queues) {
      const fresh = this.#fresh(queue, messages, remembered);
      for (const [key, some] of Map.groupBy(fresh, ({ key }) => key)) this.#append(this.#laneOf(queue, key), some);
      this.#count(queue, fresh.length, messages.length - fresh.length);
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
      const messages = this.#messagesOf(lane, key, { rows, bytes }, held.length === 0);
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
    const remove = "DELETE FROM message WHERE lane = ? AND seq BETWEEN ? AND ? RETURNING count";
    const removed = this.#all(remove, held.lane, held.messages[0]!.seq, held.messages.at(-1)!.seq);
    this.#count(queue, -removed.reduce((sum, row) => sum + Number(row["count"]), 0), 0);
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
    this.#cutBefore(held.lane, message.seq);
    this.#cutBefore(held.lane, message.seq + 1);
    const removed = this.#run("DELETE FROM message WHERE seq = ? AND lane = ?", message.seq, held.lane);
    if (removed === 0) return true; // dead-lettered before: the answer to the first call was lost to its caller
    const insert =
      "INSERT INTO dead_letter (queue, since, reason, key, message, properties, body) VALUES (?, ?, ?, ?, ?, ?, ?)";
    const { id, key, properties, body } = message;
    this.#run(insert, queue, Date.now(), reason, key, id, JSON.stringify(properties), body);
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
    this.#append(this.#laneOf(queue, letter.message.key), [letter.message]);
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

  /** Whole blocks from the front of the lane; where `atLeastOne`, of a first block that does not fit as much as does. */
  #messagesOf(lane: number, key: string, limit: ClaimLimit, atLeastOne: boolean): StoredMessage[] {
    const messages: StoredMessage[] = [];
    let { rows, bytes } = limit;
    const sizes = "SELECT seq, count, length(bodies) AS bytes FROM message WHERE lane = ? ORDER BY seq";
    const block = this.#file.statement("SELECT * FROM message WHERE seq = ?");
    for (const { seq, count, bytes: size } of this.#file.statement(sizes).iterate(lane)) {
      rows -= Number(count);
      bytes -= Number(size);
      const fits = rows >= 0 && bytes >= 0;
      if (fits || (atLeastOne && messages.length === 0)) messages.push(...unpackBlock(block.get(seq!)!, key));
      if (!fits || rows === 0 || bytes === 0) break;
    }
    if (rows < 0 || bytes < 0) this.#shorten(lane, messages, limit);
    return messages;
  }

  /** To what the limit allows, but not to nothing. */
  #shorten(lane: number, messages: StoredMessage[], limit: ClaimLimit): void {
    let bytes = 0;
    const beyond = messages.findIndex(({ body }, index) => {
      bytes += body.length;
      return index > 0 && (index === limit.rows || bytes > limit.bytes);
    });
    if (beyond < 0) return;
    this.#cutBefore(lane, messages[beyond]!.seq);
    messages.length = beyond;
  }

  /** Behind all others of the lane. */
  #append(lane: number, messages: readonly Message[]): void {
    const after = this.#get("UPDATE number SET next = next + ? RETURNING next", messages.length)!;
    let seq = Number(after["next"]) - messages.length;
    for (const some of cutIntoBlocks(messages)) {
      this.#put(lane, seq, some);
      seq += some.length;
    }
  }

  #put(lane: number, seq: number, messages: readonly Message[]): void {
    const { count, ids, properties, lengths, bodies } = packBlock(messages);
    const put =
      "INSERT OR REPLACE INTO message (seq, lane, count, ids, properties, lengths, bodies) VALUES (?, ?, ?, ?, ?, ?, ?)";
    this.#file.statement(put).run(seq, lane, count, ids, properties, lengths, bodies);
  }

  /** Where a message with this number stands inside of a block, a new one begins with it. */
  #cutBefore(lane: number, seq: number): void {
    const before = "SELECT * FROM message WHERE lane = ? AND seq < ? AND seq + count > ?";
    const row = this.#get(before, lane, seq, seq);
    if (row === undefined) return;
    const first = Number(row["seq"]);
    const messages = unpackBlock(row, "");
    this.#put(lane, first, messages.slice(0, seq - first));
    this.#put(lane, seq, messages.slice(seq - first));
  }

  /** Those that were not sent before; from now on they were. */
  #fresh(queue: number, messages: readonly Message[], remember: StatementSync): readonly Message[] {
    const remembered = (some: readonly Message[]) =>
      Number(remember.run(queue, JSON.stringify(some.map(({ id }) => id))).changes);
    this.#file.statement("SAVEPOINT remembering").run();
    if (remembered(messages) === messages.length) return messages;
    // Which ones they were is found out one by one.
    this.#file.statement("ROLLBACK TO remembering").run();
    return messages.filter((message) => remembered([message]) === 1);
  }

  /** Answers what remembers ids (of a queue, as JSON) that are not known. */
  #memory(adding: number): StatementSync {
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
    return this.#file.statement(
      `INSERT INTO remembered_${current} (queue, id) SELECT ?1, value FROM json_each(?2) ` +
        `WHERE NOT EXISTS (SELECT 1 FROM remembered_${1 - current} WHERE queue = ?1 AND id = value) ON CONFLICT DO NOTHING`,
    );
  }

  #count(queue: number, pending: number, repeats: number): void {
    this.#run("UPDATE queue SET pending = pending + ?, repeats = repeats + ? WHERE id = ?", pending, repeats, queue);
  }

  #run(sql: string, ...values: (string | number | null | Uint8Array)[]): number {
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

function toDeadLetter(row: Row): DeadLetter {
  const body = row["body"] as Uint8Array;
  const message = {
    id: String(row["message"]),
    key: String(row["key"]),
    properties: JSON.parse(String(row["properties"])) as Record<string, string>,
    body: Buffer.from(body.buffer, body.byteOffset, body.byteLength),
  };
  return { id: String(row["id"]), message, reason: String(row["reason"]), since: new Date(Number(row["since"])) };
}
