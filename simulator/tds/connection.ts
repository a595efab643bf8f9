/**
 * One client. States, after MS-TDS 3.3.5:
 *
 *   first byte ──0x16──> TLS (TDS 8.0) ─┐
 *       └──0x12──────────────────────> handshake ──> ready ──> closed
 *
 * - handshake: until the client's LOGIN7 (handshake.ts). Wrong credentials are answered with the engine's error, then the connection
 *   ends.
 * - ready: runs requests one after the other. ATTENTION is read at any time: it aborts the running request, whose response
 *   ends where it is, and is then acknowledged by a message of its own (2.2.1.7).
 * - closed: by the client, by `destroy`, or after something that is not TDS (reported through `onProblem`).
 */
import type { Socket } from "node:net";
import { collationOf } from "../engine/collations.ts";
import {
  messageOf,
  type RpcParameter,
  type ServerMessage,
  type SqlEngine,
  SqlError,
  type SqlSession,
} from "../engine/session.ts";
import { parseBulkLoad } from "./bulk-load.ts";
import { ProtocolError } from "./bytes.ts";
import { Channel, type ChannelContexts } from "./channel.ts";
import { UnservedType } from "./decoding.ts";
import { type Dialect, dialectFor } from "./dialect.ts";
import type { NetworkFaults } from "./faults.ts";
import { Handshake } from "./handshake.ts";
import { type LoginRequest, unservedLogin } from "./login.ts";
import { Output } from "./output.ts";
import { PACKET, PacketReader, type RequestMessage, STATUS } from "./packets.ts";
import type { EncryptionPolicy, ServerVersion } from "./prelogin.ts";
import { parseBatch, parseRpc, parseTransaction, transactionOf } from "./requests.ts";
import { Response, type ResponseContext } from "./response.ts";
import { DONE, ENV, TOKEN, writeDone, writeEnvBytes, writeEnvText } from "./tokens.ts";
import { writeDatabaseChanged } from "./welcome.ts";

/** What all connections of a server share. */
export interface ConnectionSettings extends ChannelContexts {
  readonly engine: SqlEngine;
  readonly serverName: string;
  readonly version: ServerVersion;
  readonly encryption: EncryptionPolicy;
  /** Only TDS 8.0 is let in. */
  readonly strict: boolean;
  /** Where the client leaves it to the server. */
  readonly packetSize: number;
  /** Where clients that only read are sent on to. */
  readonly readOnlyRouting: { host: string; port: number } | undefined;
  readonly onProblem: (problem: Error) => void;
}

/** No client has more requests under way without MARS; more would only pile up. */
const LONGEST_QUEUE = 64;

interface RunningRequest {
  readonly abort: AbortController;
  response: Response | null;
}

/** https://learn.microsoft.com/sql/sql-server/maximum-capacity-specifications-for-sql-server */
const MAX_PARAMETERS = 2100;

function tooManyParameters(): SqlError {
  return new SqlError(
    8003,
    `The incoming request has too many parameters. The server supports a maximum of ${MAX_PARAMETERS} parameters. Reduce the number of parameters and resend the request.`,
  );
}

export class Connection implements ResponseContext {
  readonly output: Output;
  dialect: Dialect = dialectFor(0x74000004, false);
  transaction: bigint | null = null;
  readonly #settings: ConnectionSettings;
  readonly #channel: Channel;
  readonly #handshake: Handshake;
  readonly #reader = new PacketReader((message) => this.#message(message));
  #state: "handshake" | "ready" | "closed" = "handshake";
  #session: SqlSession | null = null;
  #knownDatabase = "";
  #knownCollation = "";
  #queue: RequestMessage[] = [];
  #running: RunningRequest | null = null;
  #serving = false;
  #attention = false;
  /** An error was sent that ends the session: the connection ends with the response. */
  #closing = false;

  constructor(socket: Socket, settings: ConnectionSettings, faults: NetworkFaults) {
    this.#settings = settings;
    this.#channel = new Channel(socket, settings, faults, {
      begins: (strict) => this.#handshake.begins(strict),
      received: (bytes) => {
        if (this.#state !== "closed") this.#reader.push(bytes);
      },
      failed: (error) => this.#problem(error),
      closed: () => this.#ended(),
    });
    this.#handshake = new Handshake(settings, this.#channel);
    this.output = new Output(this.#channel);
  }

  get serverName(): string {
    return this.#settings.serverName;
  }

  get collation(): string {
    return this.#session!.collation;
  }

  tellCollation(): void {
    const { collation } = this;
    if (collation === this.#knownCollation) return;
    const bytes = (name: string) => collationOf(name).bytes;
    writeEnvBytes(this.output.tokens, ENV.collation, bytes(collation), bytes(this.#knownCollation));
    this.#knownCollation = collation;
  }

  /** 0 until the login. */
  get spid(): number {
    return this.#session?.spid ?? 0;
  }

  /** How the client's bytes travel now. */
  get encrypted(): boolean {
    return this.#channel.encrypted;
  }

  /** Replaces the faults of this connection; byte counts begin anew. */
  setFaults(faults: NetworkFaults): void {
    this.#channel.setFaults(faults);
  }

  /** Ends the connection when the response that is being sent is complete. */
  close(): void {
    this.#closing = true;
  }

  /** Ends the connection as a pulled plug does. */
  destroy(): void {
    this.#state = "closed";
    this.#channel.destroy();
  }

  /** Ends the connection without a word: the client sees a reset. */
  reset(): void {
    this.#state = "closed";
    this.#channel.reset();
  }

  /** KILL: a running request ends with error 596, if the client reads; an idle connection just ends. */
  #killed(): void {
    const response = this.#running?.response;
    if (response && !response.aborted && !this.#channel.blocked) {
      response.message(KILLED);
      response.abort();
      return;
    }
    this.destroy();
  }

  /** Resolves when the socket is closed. */
  closed(): Promise<void> {
    return this.#channel.gone();
  }

  #problem(error: Error): void {
    const from = this.#channel.client;
    this.destroy();
    this.#settings.onProblem(new Error(`connection of ${from} closed: ${error.message}`, { cause: error }));
  }

  // Messages

  #message(message: RequestMessage): void {
    switch (this.#state) {
      case "handshake": {
        const login = this.#handshake.take(message);
        if (login) this.#login(login.request, login.dialect);
        break;
      }
      case "ready":
        this.#request(message);
        break;
      case "closed":
    }
  }

  #login(request: LoginRequest, dialect: Dialect): void {
    this.dialect = dialect;
    this.#state = "ready";
    this.#serving = true;
    void this.#openSession(request);
  }

  async #openSession(request: LoginRequest): Promise<void> {
    const refusal = unservedLogin(request);
    try {
      if (refusal) throw refusal;
      const { encrypted } = this.#handshake;
      const session = await this.#settings.engine.login({ ...request.login, encrypted });
      if (this.#channel.destroyed) {
        session.close();
        return;
      }
      this.#session = session;
      session.onKill = () => this.#killed();
      this.#knownDatabase = session.database;
      this.#knownCollation = session.collation;
      this.#handshake.welcome(this.output, this.dialect, session, request);
    } catch (error) {
      if (!(error instanceof SqlError)) this.#report("the login", error as Error);
      this.#handshake.refuse(this.output, this.dialect, error as Error, request.login);
      this.#state = "closed";
      this.#channel.end();
      return;
    }
    this.#serving = false;
    if (this.#attention) this.#acknowledge();
    void this.#serve();
  }

  #report(what: string, error: Error): void {
    this.#settings.onProblem(new Error(`${what} failed in the engine: ${error.message}`, { cause: error }));
  }

  // Requests

  #request(message: RequestMessage): void {
    if (message.type === PACKET.attention) {
      this.#interrupt();
      return;
    }
    this.#queue.push(message);
    if (this.#queue.length > LONGEST_QUEUE) throw new ProtocolError(`more than ${LONGEST_QUEUE} requests wait at once`);
    void this.#serve();
  }

  #interrupt(): void {
    if (!this.#session) {
      // The login is being looked at: its answer comes first.
      this.#attention = true;
      return;
    }
    if (!this.#running) {
      this.#acknowledge();
      return;
    }
    this.#attention = true;
    this.#running.response?.abort();
    this.#running.abort.abort();
  }

  #acknowledge(): void {
    this.#attention = false;
    writeDone(this.output.tokens, this.dialect, TOKEN.done, DONE.attention, 0, 0);
    void this.output.end();
  }

  async #serve(): Promise<void> {
    if (this.#serving) return;
    this.#serving = true;
    for (let next = this.#queue.shift(); next && this.#alive; next = this.#queue.shift()) {
      try {
        await this.#execute(next);
      } catch (error) {
        if (this.#alive) this.#problem(error as Error);
      }
    }
    this.#serving = false;
    if (!this.#alive) this.#closeSession();
  }

  get #alive(): boolean {
    return this.#state === "ready" && !this.#channel.destroyed;
  }

  async #execute(message: RequestMessage): Promise<void> {
    const running: RunningRequest = { abort: new AbortController(), response: null };
    this.#running = running;
    if (message.status & STATUS.ignore) {
      // 2.2.1.7: an ignored request is answered with one DONE that has the error bit.
      writeDone(this.output.tokens, this.dialect, TOKEN.done, DONE.error, 0, 0);
    } else {
      await this.#reset(message);
      await this.#dispatch(message, running);
    }
    this.#running = null;
    if (!this.#alive) return;
    const written = this.output.end();
    if (this.#attention) this.#acknowledge();
    await written;
    if (!this.#closing) return;
    this.#state = "closed";
    this.#channel.end();
  }

  /** RESETCONNECTION (2.2.3.1.2): the session starts anew, and the client is told before the request's own answer. */
  async #reset(message: RequestMessage): Promise<void> {
    const keepTransaction = (message.status & STATUS.resetKeepTransaction) !== 0;
    if (!keepTransaction && !(message.status & STATUS.reset)) return;
    const session = this.#session!;
    await session.reset(keepTransaction);
    if (!keepTransaction) this.transaction = null;
    const to = this.output.tokens;
    writeEnvBytes(to, ENV.resetDone, Buffer.alloc(0), Buffer.alloc(0));
    if (session.database === this.#knownDatabase) return;
    writeEnvText(to, ENV.database, session.database, this.#knownDatabase);
    this.tellCollation();
    writeDatabaseChanged(to, this.dialect, session.database, this.serverName);
  }

  async #dispatch(message: RequestMessage, running: RunningRequest): Promise<void> {
    const session = this.#session!;
    const { signal } = running.abort;
    if (this.#elsewhere(message)) {
      await this.#respond(running, null, false, async () => {
        const text = "New request is not allowed to start because it should come with valid transaction descriptor.";
        throw new SqlError(3989, text, 16, 1);
      });
      return;
    }
    switch (message.type) {
      case PACKET.sqlBatch: {
        const text = parseBatch(message.data, this.dialect);
        await this.#respond(running, null, false, (response) => session.batch(text, response, signal));
        break;
      }
      case PACKET.rpc:
        await this.#rpc(message.data, running);
        break;
      case PACKET.transaction: {
        const request = parseTransaction(message.data, this.dialect);
        await this.#respond(running, null, false, async (response) => {
          if (request.kind !== "distributed") await session.transaction(request, response);
          else throw new SqlError(8501, `MSDTC on server '${this.serverName}' is unavailable.`);
        });
        break;
      }
      case PACKET.bulkLoad:
        await this.#respond(running, null, false, (response) =>
          session.bulkLoad(parseBulkLoad(message.data, this.dialect), response, signal),
        );
        break;
      default:
        throw new ProtocolError(`a message of type 0x${message.type.toString(16)} came from a logged-in client`);
    }
    this.#knownDatabase = session.database;
  }

  /** The client believes to be in another transaction than it is, or in none. A reset has ended the one that it was in. */
  #elsewhere({ type, status, data }: RequestMessage): boolean {
    const tells = type === PACKET.sqlBatch || type === PACKET.rpc || type === PACKET.transaction;
    if (!tells || status & (STATUS.reset | STATUS.resetKeepTransaction)) return false;
    const descriptor = transactionOf(data, this.dialect);
    return descriptor !== undefined && descriptor !== BigInt.asUintN(64, this.transaction ?? 0n);
  }

  /** One call after the other; the last one's DONEPROC ends the message. */
  async #rpc(data: Buffer, running: RunningRequest): Promise<void> {
    const session = this.#session!;
    const calls = parseRpc(data, this.dialect);
    let ordinal = 0;
    const read = () => {
      ordinal++;
      try {
        return calls.next();
      } catch (error) {
        if (error instanceof UnservedType) return error;
        throw error;
      }
    };
    let next = read();
    while (!(next instanceof UnservedType) && !next.done && !running.abort.signal.aborted) {
      const { procedure, parameters } = next.value;
      next = read();
      const more = next instanceof UnservedType || !next.done;
      await this.#respond(running, parameters, more, async (response) => {
        if (parameters.length > MAX_PARAMETERS) throw tooManyParameters();
        await session.rpc(procedure, parameters, response, running.abort.signal);
      });
    }
    if (!(next instanceof UnservedType)) return;
    const type = `0x${next.token.toString(16).toUpperCase()}`;
    const refusal = new SqlError(
      8009,
      "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. " +
        `Call ${ordinal}: data type ${type}: ${next.message}.`,
    );
    await this.#respond(running, [], false, async () => {
      throw refusal;
    });
  }

  async #respond(
    running: RunningRequest,
    parameters: RpcParameter[] | null,
    more: boolean,
    work: (response: Response) => Promise<void>,
  ): Promise<void> {
    const response = new Response(this, parameters);
    running.response = response;
    if (running.abort.signal.aborted) response.abort();
    try {
      if (!response.aborted) await work(response);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      if (error instanceof SqlError) response.message(messageOf(error));
      else if (!response.aborted) this.#engineFailed(response, error as Error);
    }
    response.finish(more && !response.aborted);
  }

  /** A fault of the simulator itself: the client sees what it was, as an error that ends a session in SQL Server too. */
  #engineFailed(response: Response, error: Error): void {
    this.#report("a request", error);
    const message = `The simulator could not answer this request: ${error.message}`;
    response.message({ number: 3624, state: 1, severity: 20, message, line: 1, closes: true });
  }

  // The end

  #ended(): void {
    this.#state = "closed";
    this.#running?.response?.abort();
    this.#running?.abort.abort();
    // A running request ends first: #serve closes the session then.
    if (!this.#serving) this.#closeSession();
  }

  #closeSession(): void {
    const session = this.#session;
    this.#session = null;
    if (!session) return;
    session.onKill = undefined;
    session.close();
  }
}

const KILLED: ServerMessage = {
  number: 596,
  state: 1,
  severity: 21,
  message: "Cannot continue the execution because the session is in the kill state.",
  line: 1,
  closes: true,
};
