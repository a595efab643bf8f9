/**
 * The commit sequence of all databases, and which snapshots are still being read, so that row versions that nobody can see
 * any more are dropped. Readers never wait: a statement sees what was committed when it began (as READ COMMITTED does with
 * READ_COMMITTED_SNAPSHOT on, the default of Azure SQL Database), a SNAPSHOT transaction what was committed when it first
 * read. https://learn.microsoft.com/sql/relational-databases/sql-server-transaction-locking-and-row-versioning-guide
 */
import type { Row } from "./database.ts";
import type { Entry, Snapshot, Table, Version } from "./table.ts";
import type { Transaction } from "./transactions.ts";

interface Garbage {
  /** The commit that made it garbage. */
  seq: number;
  table: Table;
  entry: Entry;
  /** A version whose keys may be stale in the indexes. */
  row: Row;
}

export class VersionStore {
  #sequence = 0;
  readonly #active = new Set<Snapshot>();
  #garbage: Garbage[] = [];

  get sequence(): number {
    return this.#sequence;
  }

  nextCommit(): number {
    return ++this.#sequence;
  }

  /** To be released. */
  open(transaction: Transaction | null): Snapshot {
    const snapshot: Snapshot = { seq: this.#sequence, transaction };
    this.#active.add(snapshot);
    return snapshot;
  }

  release(snapshot: Snapshot): void {
    this.#active.delete(snapshot);
    if (this.#garbage.length > 0) this.#collect();
  }

  discard(table: Table, entry: Entry, row: Row, seq: number): void {
    this.#garbage.push({ seq, table, entry, row });
  }

  collect(): void {
    if (this.#garbage.length > 0) this.#collect();
  }

  #collect(): void {
    let oldest = this.#sequence;
    for (const snapshot of this.#active) oldest = Math.min(oldest, snapshot.seq);
    let done = 0;
    while (done < this.#garbage.length && this.#garbage[done]!.seq <= oldest)
      this.#drop(this.#garbage[done++]!, oldest);
    if (done === this.#garbage.length) this.#garbage = [];
    else if (done > 0) this.#garbage.splice(0, done);
  }

  #drop({ table, entry, row }: Garbage, oldest: number): void {
    let version: Version = entry;
    while (version.seq > oldest && version.older) version = version.older;
    version.older = null;
    if (version === entry && entry.row === null) table.detach(entry, [row]);
    else table.unindex(entry, row);
  }
}
