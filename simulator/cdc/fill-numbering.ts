/**
 * How the rows of a filled change table are numbered: which transaction, which change and which LSNs a row has, computed from its
 * number alone.
 *
 * Changes follow one another in patterns that repeat; a transaction holds a fixed number of them. In the log each transaction
 * begins a block of its own with its begin record (slot 0), goes on with a record a change, and ends with its commit.
 */
import type { LogSequence } from "../engine/log.ts";
import type { OwnColumn } from "../engine/series.ts";

const SECTOR = 512;
const BLOCK_BYTES = 60 * 1024;
/** Of the blocks of a virtual log file (engine/log.ts). */
const FILE_SECTORS = 16_384;
const FIRST_BLOCK = 16;

export interface FillSize {
  /** All changes, and how many a transaction has; the last one may have fewer. */
  changes: number;
  changesPerTransaction: number;
  /** Rows of each change of the repeating pattern: 1 or 2. */
  rowsOfChanges: readonly number[];
  /** Bytes that a change takes of the log. */
  recordBytes: number;
}

export class FillNumbering {
  readonly rows: number;
  readonly transactions: number;
  readonly #size: FillSize;
  readonly #changesOfPattern: number;
  readonly #rowsOfPattern: number;
  /** Change of the pattern by row of the pattern, and the other way round. */
  readonly #changeOf: Int32Array;
  readonly #firstRowOf: Int32Array;
  readonly #slots: number;
  readonly #blocks: number;
  readonly #sectors: number;
  readonly #blocksOfFile: number;
  readonly #firstFile: number;

  constructor(size: FillSize, log: LogSequence) {
    this.#size = size;
    this.transactions = Math.ceil(size.changes / size.changesPerTransaction);
    this.#changesOfPattern = size.rowsOfChanges.length;
    this.#firstRowOf = new Int32Array(this.#changesOfPattern + 1);
    for (const [i, rows] of size.rowsOfChanges.entries()) this.#firstRowOf[i + 1] = this.#firstRowOf[i]! + rows;
    this.#rowsOfPattern = this.#firstRowOf[this.#changesOfPattern]!;
    this.#changeOf = new Int32Array(this.#rowsOfPattern);
    for (let i = 0; i < this.#changesOfPattern; i++)
      this.#changeOf.fill(i, this.#firstRowOf[i]!, this.#firstRowOf[i + 1]!);
    this.rows = this.#firstRow(size.changes);
    const records = size.changesPerTransaction + 2;
    this.#slots = Math.min(records, Math.max(1, Math.floor(BLOCK_BYTES / size.recordBytes)));
    this.#blocks = Math.ceil(records / this.#slots);
    this.#sectors = Math.max(1, Math.ceil((this.#slots * size.recordBytes) / SECTOR));
    this.#blocksOfFile = Math.floor((FILE_SECTORS - FIRST_BLOCK) / this.#sectors);
    this.#firstFile = Number(log.current >> 48n) + 1;
  }

  transactionOf(row: number): number {
    return Math.floor(this.#change(row) / this.#size.changesPerTransaction);
  }

  firstRowOfTransaction(transaction: number): number {
    return this.#firstRow(Math.min(this.#size.changes, transaction * this.#size.changesPerTransaction));
  }

  beginLsn(transaction: number): Buffer {
    return lsnBytes(this.#lsn(transaction, 0));
  }

  commitLsn(transaction: number): Buffer {
    return lsnBytes(this.#lsn(transaction, this.#size.changesPerTransaction + 1));
  }

  /** __$start_lsn */
  get start(): OwnColumn {
    return {
      value: (row) => this.commitLsn(this.transactionOf(row)),
      until: (row) => this.firstRowOfTransaction(this.transactionOf(row) + 1),
      wire: {
        size: 10,
        write: (rows, count, to, base, at) => {
          for (let i = 0; i < count; ) {
            const transaction = this.transactionOf(rows[i]!);
            const end = this.firstRowOfTransaction(transaction + 1);
            const { file, block, slot } = this.#lsn(transaction, this.#size.changesPerTransaction + 1);
            for (; i < count && rows[i]! < end; i++) writeLsn(to, base + at[i]!, file, block, slot);
          }
        },
      },
    };
  }

  /** __$seqval: the LSN of the change's record. */
  get seqval(): OwnColumn {
    return {
      value: (row) => {
        const { transaction, ordinal } = this.#place(row);
        return lsnBytes(this.#lsn(transaction, ordinal));
      },
      until: (row) => this.#firstRow(this.#change(row) + 1),
      wire: {
        size: 10,
        write: (rows, count, to, base, at) => {
          for (let i = 0; i < count; ) {
            // As long as one block of the log lasts only the slot changes.
            const { transaction, ordinal, change } = this.#place(rows[i]!);
            const { file, block, slot } = this.#lsn(transaction, ordinal);
            const end = this.#firstRowAt(transaction, ordinal + this.#slots - (ordinal % this.#slots));
            for (; i < count && rows[i]! < end; i++)
              writeLsn(to, base + at[i]!, file, block, slot + this.#change(rows[i]!) - change);
          }
        },
      },
    };
  }

  /** __$command_id: changes count from 1 in each transaction. */
  get command(): OwnColumn {
    return {
      value: (row) => this.#place(row).ordinal,
      until: (row) => this.#firstRow(this.#change(row) + 1),
      wire: {
        size: 4,
        write: (rows, count, to, base, at) => {
          for (let i = 0; i < count; ) {
            const { transaction, ordinal, change } = this.#place(rows[i]!);
            const end = this.firstRowOfTransaction(transaction + 1);
            for (; i < count && rows[i]! < end; i++)
              to.setInt32(base + at[i]!, ordinal + this.#change(rows[i]!) - change, true);
          }
        },
      },
    };
  }

  #change(row: number): number {
    const patterns = Math.floor(row / this.#rowsOfPattern);
    return patterns * this.#changesOfPattern + this.#changeOf[row - patterns * this.#rowsOfPattern]!;
  }

  #firstRow(change: number): number {
    const patterns = Math.floor(change / this.#changesOfPattern);
    return patterns * this.#rowsOfPattern + this.#firstRowOf[change - patterns * this.#changesOfPattern]!;
  }

  /** A row's transaction, and the place of its change there, from 1. */
  #place(row: number): { transaction: number; ordinal: number; change: number } {
    const change = this.#change(row);
    const transaction = Math.floor(change / this.#size.changesPerTransaction);
    return { transaction, ordinal: change - transaction * this.#size.changesPerTransaction + 1, change };
  }

  #firstRowAt(transaction: number, ordinal: number): number {
    const { changes, changesPerTransaction } = this.#size;
    const inside = Math.min(ordinal - 1, changesPerTransaction);
    return this.#firstRow(Math.min(changes, transaction * changesPerTransaction + inside));
  }

  #lsn(transaction: number, record: number): Lsn {
    const block = transaction * this.#blocks + Math.floor(record / this.#slots);
    const file = Math.floor(block / this.#blocksOfFile);
    return {
      file: this.#firstFile + file,
      block: FIRST_BLOCK + (block - file * this.#blocksOfFile) * this.#sectors,
      slot: (record % this.#slots) + 1,
    };
  }
}

interface Lsn {
  file: number;
  block: number;
  slot: number;
}

function lsnBytes({ file, block, slot }: Lsn): Buffer {
  const bytes = Buffer.allocUnsafe(10);
  bytes.writeUInt32BE(file, 0);
  bytes.writeUInt32BE(block, 4);
  bytes.writeUInt16BE(slot, 8);
  return bytes;
}

function writeLsn(to: DataView, at: number, file: number, block: number, slot: number): void {
  to.setUint32(at, file);
  to.setUint32(at + 4, block);
  to.setUint16(at + 8, slot);
}
