/**
 * One response: what the engine reports of a request, as tokens.
 *
 * A statement's DONE says whether more follows, which is known only when the next token or the end comes: so the last DONE
 * is held back. In a batch, statements end with DONE; in an RPC, with DONEINPROC, and the call with RETURNSTATUS,
 * RETURNVALUEs and DONEPROC. Once the request was aborted, or its response ended, nothing more is written.
 */
import { collationOf } from "../engine/collations.ts";
import type { RowBlock } from "../engine/row-block.ts";
import type {
  BrowseInfo,
  EnvironmentChange,
  ResultColumn,
  ResultSink,
  RpcParameter,
  ServerMessage,
} from "../engine/session.ts";
import type { SqlType, Value } from "../engine/values.ts";
import { BlockWriter } from "./blocks.ts";
import type { Dialect } from "./dialect.ts";
import { encoderOf } from "./encoding.ts";
import type { Output } from "./output.ts";
import { RowWriter } from "./rows.ts";
import {
  DONE,
  ENV,
  TOKEN,
  writeBrowseInfo,
  writeColumns,
  writeDone,
  writeEnvBytes,
  writeEnvText,
  writeMessage,
  writeOrder,
  writeReturnStatus,
  writeReturnValue,
} from "./tokens.ts";
import { isCharacter } from "./types.ts";

/** CurCmd of DONE: what drivers take update counts from. */
const COMMAND = {
  select: 0xc1,
  insert: 0xc3,
  delete: 0xc4,
  update: 0xc5,
  execute: 0xe0,
  merge: 0x117,
  none: 0xfd,
} as const;

const FLAG = { nullable: 0x01, caseSensitive: 0x02, updateUnknown: 0x08, identity: 0x10, computed: 0x20 } as const;
const USER_TYPE_TIMESTAMP = 80;
const NO_BYTES = Buffer.alloc(0);

/** What of the connection a response reads and changes. */
export interface ResponseContext {
  readonly output: Output;
  readonly dialect: Dialect;
  readonly serverName: string;
  readonly collation: string;
  /** The transaction that the client was told of; null in autocommit mode. */
  transaction: bigint | null;
  /** Tells the client of the session's collation, if it knows another. */
  tellCollation(): void;
  /** The connection is to end when the response has been sent. */
  close(): void;
}

interface HeldDone {
  token: number;
  status: number;
  command: number;
  count: number;
}

export class Response implements ResultSink {
  readonly #context: ResponseContext;
  readonly #rpc: RpcParameter[] | null;
  #held: HeldDone | null = null;
  /** An error was sent since the last DONE. */
  #errorOpen = false;
  #rows: RowWriter | null = null;
  #blocks: BlockWriter | null = null;
  #types: [type: SqlType, nullable: boolean][] = [];
  #returned: { name: string; type: SqlType; value: Value }[] = [];
  #status: number | null = null;
  /** Aborted or finished. */
  #closed = false;
  #finished = false;

  /** `rpc`: the parameters of the call; null for a batch or a transaction request. */
  constructor(context: ResponseContext, rpc: RpcParameter[] | null) {
    this.#context = context;
    this.#rpc = rpc;
  }

  columns(columns: ResultColumn[], browse?: BrowseInfo, order: readonly number[] = []): void {
    if (this.#closed) return;
    const { output, dialect, collation } = this.#context;
    this.#release();
    const encoders = columns.map((column) => encoderOf(column.type, column.nullable, collation, dialect));
    this.#rows = new RowWriter(encoders, dialect.nullBitmaps);
    this.#blocks = null;
    this.#types = columns.map(({ type, nullable }) => [type, nullable]);
    const described = columns.map((column, i) => ({
      name: column.name,
      userType: column.type.id === "timestamp" ? USER_TYPE_TIMESTAMP : 0,
      flags: this.#flags(column),
      encoder: encoders[i]!,
    }));
    writeColumns(output.tokens, dialect, described);
    if (browse) writeBrowseInfo(output.tokens, dialect, browse);
    if (order.length > 0) writeOrder(output.tokens, order);
  }

  #flags(column: ResultColumn): number {
    // Computed and identity columns are read-only, of others the server does not say; loaders leave out those that are. Seen
    // of SQL Server: https://github.com/tiberius-rs/tiberius/issues/403
    let flags: number = column.computed ? FLAG.computed : column.identity ? FLAG.identity : FLAG.updateUnknown;
    if (column.nullable) flags |= FLAG.nullable;
    if (isCharacter(column.type) && collationOf(column.type.collation ?? this.#context.collation).caseSensitive) {
      flags |= FLAG.caseSensitive;
    }
    return flags;
  }

  row(values: readonly Value[]): void | Promise<void> {
    if (this.#closed) return;
    const { output } = this.#context;
    this.#rows!.write(output.tokens, values);
    return output.flushSome();
  }

  block(block: RowBlock): void | Promise<void> {
    if (this.#closed || block.length === 0) return;
    const { output, dialect, collation } = this.#context;
    this.#blocks ??= new BlockWriter(this.#rows!, JSON.stringify([dialect, collation, this.#types]));
    const written = this.#blocks.write(output.tokens, block, 0);
    const slow = output.flushSome();
    return written < block.length ? this.#restOf(block, written, slow) : slow;
  }

  async #restOf(block: RowBlock, written: number, slow: void | Promise<void>): Promise<void> {
    const { output } = this.#context;
    await slow;
    for (let i = written; i < block.length && !this.#closed; ) {
      i += this.#blocks!.write(output.tokens, block, i);
      await output.flushSome();
    }
  }

  statementDone(done: Parameters<ResultSink["statementDone"]>[0]): void {
    if (this.#closed) return;
    const failed = done.error || this.#errorOpen;
    const status = (failed ? DONE.error : 0) | (done.rowCount === undefined ? 0 : DONE.count);
    const command = done.select
      ? COMMAND.select
      : done.rowCount === undefined
        ? COMMAND.none
        : COMMAND[done.command ?? "update"];
    this.#hold({ token: this.#rpc ? TOKEN.doneInProc : TOKEN.done, status, command, count: done.rowCount ?? 0 });
  }

  message(message: ServerMessage): void {
    if (this.#closed) return;
    const { output, dialect, serverName } = this.#context;
    this.#release();
    writeMessage(output.tokens, dialect, message, serverName);
    if (message.severity > 10) this.#errorOpen = true;
    if (message.closes) this.#context.close();
    if (message.atOnce) output.flush();
  }

  environment(change: EnvironmentChange): void {
    const { output, dialect } = this.#context;
    if ("from" in change) {
      if (this.#closed) return;
      this.#release();
      writeEnvText(output.tokens, ENV[change.kind], change.to, change.from);
      if (change.kind === "database") this.#context.tellCollation();
      return;
    }
    // The client has to know of it also when its request was aborted: its next one names the transaction.
    this.#context.transaction = change.kind === "begin_transaction" ? change.descriptor : null;
    if (this.#finished) return;
    this.#release();
    // Transactions are not announced to clients of before 7.2.
    if (!dialect.atLeast72) return;
    const descriptor = Buffer.alloc(8);
    descriptor.writeBigUInt64LE(BigInt.asUintN(64, change.descriptor));
    if (change.kind === "begin_transaction") writeEnvBytes(output.tokens, ENV.beginTransaction, descriptor, NO_BYTES);
    else {
      const kind = change.kind === "commit_transaction" ? ENV.commitTransaction : ENV.rollbackTransaction;
      writeEnvBytes(output.tokens, kind, NO_BYTES, descriptor);
    }
  }

  output(name: string, type: SqlType, value: Value): void {
    if (!this.#closed) this.#returned.push({ name, type, value });
  }

  returnStatus(status: number): void {
    if (this.#closed) return;
    if (this.#rpc) {
      this.#status = status;
      return;
    }
    // EXEC in a batch: the procedure ends here, the batch goes on.
    this.#release();
    writeReturnStatus(this.#context.output.tokens, status);
    this.#hold({ token: TOKEN.doneProc, status: this.#errorOpen ? DONE.error : 0, command: COMMAND.execute, count: 0 });
  }

  /** The request was aborted: what the engine still reports is dropped, but for the state of the transaction. */
  abort(): void {
    this.#closed = true;
    this.#held = null;
    this.#errorOpen = true;
    this.#returned = [];
    this.#status = null;
  }

  get aborted(): boolean {
    return this.#closed;
  }

  /** Writes what ends the request. `more`: another RPC of the same message follows. */
  finish(more: boolean): void {
    const { output, dialect } = this.#context;
    const tail = more ? DONE.more : 0;
    if (!this.#rpc) {
      const last = this.#held ?? {
        token: TOKEN.done,
        status: this.#errorOpen ? DONE.error : 0,
        command: COMMAND.none,
        count: 0,
      };
      this.#held = null;
      writeDone(output.tokens, dialect, last.token, last.status | tail, last.command, last.count);
    } else {
      this.#release();
      const failed = this.#errorOpen;
      if (this.#status !== null) writeReturnStatus(output.tokens, this.#status);
      this.#writeReturnValues();
      writeDone(output.tokens, dialect, TOKEN.doneProc, tail | (failed ? DONE.error : 0), COMMAND.execute, 0);
    }
    this.#closed = true;
    this.#finished = true;
  }

  #writeReturnValues(): void {
    const { output, dialect, collation } = this.#context;
    const free = this.#rpc!.map((parameter, ordinal) => ({ parameter, ordinal })).filter(
      ({ parameter }) => parameter.output,
    );
    for (const returned of this.#returned) {
      // By its name in the call; a parameter that was sent by position takes its turn. What nobody asked for is not sent.
      const named = free.findIndex(({ parameter }) => parameter.name.toLowerCase() === returned.name.toLowerCase());
      const at = named >= 0 ? named : free.findIndex(({ parameter }) => parameter.name === "");
      if (at < 0) continue;
      const place = free.splice(at, 1)[0]!;
      const encoder = encoderOf(returned.type, true, collation, dialect);
      const name = place.parameter.name;
      writeReturnValue(output.tokens, dialect, { ...returned, name, ordinal: place.ordinal }, encoder);
    }
  }

  #hold(done: HeldDone): void {
    this.#release();
    this.#held = done;
    this.#errorOpen = false;
  }

  #release(): void {
    const held = this.#held;
    if (!held) return;
    this.#held = null;
    const { output, dialect } = this.#context;
    writeDone(output.tokens, dialect, held.token, held.status | DONE.more, held.command, held.count);
  }
}
