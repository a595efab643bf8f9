/**
 * Log sequence numbers as SQL Server counts them: virtual log file (32 bits), block (32 bits, its offset in the file in
 * sectors of 512 bytes), slot of the record in the block (16 bits, from 1). A block is closed when it is flushed (at a
 * commit) or full (60 KB); a virtual log file follows another when it is full.
 * https://learn.microsoft.com/sql/relational-databases/sql-server-transaction-log-architecture-and-management-guide
 */
const SECTOR = 512;
const BLOCK_BYTES = 60 * 1024;
/** Sectors of a virtual log file (8 MB), whose first block begins behind its header of 8 KB. */
const FILE_SECTORS = 16_384n;
const FIRST_BLOCK = 16n;

export class LogSequence {
  #file: bigint;
  #block: bigint;
  #slot = 0n;
  #bytes = 0;

  constructor(file = 37n, block = 0x148n) {
    this.#file = file;
    this.#block = block;
  }

  /** The LSN of the next record, which takes `bytes` of the log. */
  append(bytes: number): bigint {
    if (this.#slot > 0n && this.#bytes + bytes > BLOCK_BYTES) this.flush();
    this.#slot++;
    this.#bytes += bytes;
    return this.current;
  }

  /** Closes the block: the log was written to disk. */
  flush(): void {
    if (this.#slot === 0n) return;
    this.#block += BigInt(Math.max(1, Math.ceil(this.#bytes / SECTOR)));
    this.#slot = 0n;
    this.#bytes = 0;
    if (this.#block >= FILE_SECTORS) {
      this.#file++;
      this.#block = FIRST_BLOCK;
    }
  }

  /** The LSN given last. */
  get current(): bigint {
    return (this.#file << 48n) | (this.#block << 16n) | this.#slot;
  }

  /** Goes on behind `lsn`: for a database that is read back from a file, or bulk-loaded with LSNs of its own. */
  advance(lsn: bigint): void {
    if (lsn < this.current) return;
    this.#file = lsn >> 48n;
    this.#block = ((lsn >> 16n) & 0xffffffffn) + 1n;
    this.#slot = 0n;
    this.#bytes = 0;
  }
}
