/** What travels through queues. Made once by the reader's encoder; nobody changes its body on the way. */
export interface Message {
  /** A pure function of where the change came from; under 128 characters. The same change always has the same id. */
  readonly id: string;
  /** Messages with one key keep their order. A table's name under `ordering = "table"`. */
  readonly key: string;
  /** UTF-8 JSON, one line. */
  readonly body: Buffer;
  /** For routing without parsing. All four of MessageProperties are set on row messages. */
  readonly properties: Readonly<Record<string, string>>;
}

/** The properties that every row and batch message of ours carries. */
export interface MessageProperties {
  /** The topic that the message ends in. */
  Destination: string;
  TableName: string;
  /** Delete, Insert, Update, Read; "Batch" on a batch message. */
  OperationType: string;
  /** Of the (first) change. */
  LSN: string;
}

/** Size of a message as a transport counts it at least: body, id, key and properties, in bytes. */
export function messageSize(message: Message): number {
  const { properties } = message;
  let size = message.body.length + message.id.length + message.key.length;
  // Asked several times of each message: this way it costs an eighth of Object.entries.
  for (const name in properties) size += name.length + properties[name]!.length;
  return size;
}
