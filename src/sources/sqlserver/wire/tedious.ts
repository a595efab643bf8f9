/**
 * The only place that touches tedious' private parts, of the version that package.json pins: it takes the bytes of one
 * response before tedious parses them.
 *
 * tedious pipes its byte source (the socket; under TLS inside TDS the decrypted side; under TDS 8.0 the TLS socket) into a
 * stream of messages, and once it has sent a request waits for the next message. While a tap is on, the source is piped to
 * nobody; when the response is over, the tap hands tedious a message of the tokens that it needs to know (errors, messages,
 * the environment, the end) and connects the pipe again. So tedious' own state, cancelling and error handling go on as ever.
 */
import type { Duplex, Transform } from "node:stream";
import type { Connection } from "tedious";
import { packetize } from "./packets.ts";

/** Of tedious 20.3.9: lib/message-io.js and lib/connection.js. */
interface MessageIo {
  socket: Duplex;
  securePair?: { cleartext: Duplex };
  incomingMessageStream: Transform;
}

/** Gets the bytes of a response. */
export interface ResponseConsumer {
  /** Answers how many of the bytes belong to the response that they end; -1: there is more of it to come. */
  push(chunk: Buffer): number;
  /** The tokens that tedious is to see, once the response is over. */
  readonly tokens: Buffer;
}

export class MovedInternals extends Error {
  constructor(what: string) {
    super(
      `This version of tedious has no ${what}: src/sources/sqlserver/wire/tedious.ts is made for the pinned version.`,
    );
    this.name = "MovedInternals";
  }
}

/** Bytes that a connection has received, for seeing whether anything comes; 0 where tedious does not tell. */
export function bytesReceived(connection: Connection): number {
  return (connection as unknown as { socket?: { bytesRead?: number } }).socket?.bytesRead ?? 0;
}

/**
 * Takes the response to the request that was just given to the connection. `failed` hears what `consumer` throws: then the
 * connection is of no use any more. Answers how to end the tap, for a request that ends without a response.
 */
export function tapResponse(
  connection: Connection,
  consumer: ResponseConsumer,
  failed: (error: unknown) => void,
): () => void {
  const { source, messages } = internals(connection);
  const release = (...bytes: Buffer[]) => {
    source.off("data", onData);
    for (const each of bytes) if (each.length > 0) messages.write(each);
    source.pipe(messages);
  };
  const onData = (chunk: Buffer) => {
    try {
      const end = consumer.push(chunk);
      const rest = end < 0 ? null : Buffer.from(chunk.subarray(end));
      free(chunk);
      if (rest !== null) release(...packetize(consumer.tokens), rest);
    } catch (error) {
      source.off("data", onData);
      failed(error);
    }
  };
  source.unpipe(messages);
  source.on("data", onData);
  source.resume();
  return () => {
    if (source.listeners("data").includes(onData)) release();
  };
}

/**
 * Gives a chunk's memory back at once. Left to the garbage collector, chunks pile up until a collection of everything, which took a
 * fifth of the time of reading. While a tap is on, nobody else has the chunk, if it is all of its memory and not a piece that
 * Node cut from a pool.
 */
function free(chunk: Buffer): void {
  const { buffer } = chunk;
  if (buffer.byteLength === chunk.length && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

function internals(connection: Connection): { source: Duplex; messages: Transform } {
  const { messageIo } = connection as unknown as { messageIo?: Partial<MessageIo> };
  if (messageIo === undefined) throw new MovedInternals("connection.messageIo");
  const source = messageIo.securePair?.cleartext ?? messageIo.socket;
  const messages = messageIo.incomingMessageStream;
  if (typeof source?.unpipe !== "function")
    throw new MovedInternals("messageIo.socket or messageIo.securePair.cleartext");
  if (typeof messages?.write !== "function") throw new MovedInternals("messageIo.incomingMessageStream");
  return { source, messages };
}
