/** Row messages put together from text, as formats.md describes them: shares no code with the compiled decoder. */

import type { Message } from "../../src/change/message.ts";
import { type Origin, rowId } from "../../src/change/message-id.ts";
import { rowKey, tableKey } from "../../src/change/ordering-key.ts";
import type { Position } from "../../src/change/position.ts";
import type { TableName } from "../../src/ingester/checkpoint.ts";

const operationTypes: Readonly<Record<number, string>> = { 0: "Read", 1: "Delete", 2: "Insert", 4: "Update" };

export interface RowMessageOptions {
  table: TableName;
  destination: string;
  ingestQueue: string;
  origin: Origin;
  /** The columns of the ordering key; null: the whole table keeps its order. */
  keyColumns: readonly string[] | null;
}

const KEY_COLUMNS = "KeyColumns";

export class RowMessageEncoder {
  readonly #table: TableName;
  readonly #origin: Origin;
  readonly #tableKey: string;
  readonly #byKey: boolean;
  readonly #destination: string;
  readonly #extra: Record<string, string>;
  readonly #head: string;
  readonly #tableMembers: string;

  constructor(options: RowMessageOptions) {
    this.#table = options.table;
    this.#origin = options.origin;
    this.#tableKey = tableKey(options.table);
    this.#byKey = options.keyColumns !== null;
    this.#destination = options.destination;
    this.#extra = options.keyColumns === null ? {} : { [KEY_COLUMNS]: JSON.stringify(options.keyColumns) };
    const { destination, ingestQueue, table } = options;
    this.#head = `,"metadata":{"Destination":${JSON.stringify(destination)},"IngestQueue":${JSON.stringify(ingestQueue)},"LSN":"`;
    this.#tableMembers = `"TableName":${JSON.stringify(table.table)},"Schema":${JSON.stringify(table.schema)},"CommandID":`;
  }

  /**
   * `data` and `before`: JSON objects. `keyValues`: JSON text of the key columns' values, used where the encoder has key
   * columns. `commitTime`: UTC, `2026-11-21T10:11:12.123Z`; null where the source no longer knows it.
   */
  encode(
    position: Position,
    commitTime: string | null,
    data: string,
    before: string | null,
    keyValues: readonly string[],
  ): Message {
    const type = operationTypes[position.operation];
    if (type === undefined) throw new Error(`A change of ${this.#tableKey} has operation ${position.operation}.`);
    const time = commitTime === null ? "null" : `"${commitTime}"`;
    const text =
      `{"data":${data}${this.#head}${position.startLsn}","OperationID":${position.operation},"OperationType":"${type}",` +
      `${this.#tableMembers}${position.commandId},"Seq":"${position.seqval}","CommitTime":${time}}` +
      (before === null ? "}" : `,"before":${before}}`);
    return {
      id: rowId(this.#origin, position),
      key: this.#byKey ? rowKey(this.#table, keyValues) : this.#tableKey,
      body: Buffer.from(text, "utf8"),
      properties: {
        Destination: this.#destination,
        TableName: this.#table.table,
        OperationType: type,
        LSN: position.startLsn,
        ...this.#extra,
      },
    };
  }
}
