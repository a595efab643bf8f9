/**
 * One client. States, after MS-TDS 3.3.5:
 *
 *   first byte ──0x16──> TLS (TDS 8.0) ─┐
 *       └──0x12──────────────────────> prelogin ──> [TLS in PRELOGIN packets] ──> login ──> ready ──> closed
 *
 * - prelogin: waits for PRELOGIN, answers it, and starts TLS as it was negotiated; or takes a LOGIN7 without one.
 * - login: waits for LOGIN7. Wrong credentials are answered with the engine's error, then the connection ends. Where only
 *   the login is encrypted, both sides go on in the clear from here.
 * - ready: runs requests one after the other. ATTENTION is read at any time: it aborts the running request, whose response
 *   ends where it is, and is then acknowledged by a message of its own (2.2.1.7).
 * - closed: by the client, by `destroy`, or after something that is not TDS (reported through `onProblem`).
 */
import type { Socket } from "node:net";
import { collationOf } from "../engine/collations.ts";
import {
  type Login,
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
import { FEATURE, type LoginRequest, parseLogin, unservedLogin } from "./login.ts";
import { Output } from "./output.ts";
import {
  FIRST_PACKET_SIZE,
  MAX_PACKET_SIZE,
  MIN_PACKET_SIZE,
  PACKET,
  PacketReader,
  packetize,
  type RequestMessage,
  STATUS,
} from "./packets.ts";
import {
  ENCRYPT,
  type Encryption,
  type EncryptionPolicy,
  negotiate,
  parsePrelogin,
  type ServerVersion,
  writePrelogin,
} from "./prelogin.ts";
import { parseBatch, parseRpc, parseTransaction, transactionOf } from "./requests.ts";
import { Response, type ResponseContext } from "./response.ts";
import { DONE, ENV, TOKEN, writeDone, writeEnvBytes, writeEnvText, writeMessage } from "./tokens.ts";
import { writeDatabaseChanged, writeWelcome } from "./welcome.ts";

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

/** Under TLS inside TDS a packet has to fit into one TLS record. */
const LARGEST_RECORD = 16_383;
/** No client has more requests under way without MARS; more would only pile up. */
const LONGEST_QUEUE = 64;

interface RunningRequest {
  readonly abort: AbortController;
  response: Response | null;
}

export class Connection implements ResponseContext {
  readonly output: Output;
  dialect: Dialect = dialectFor(0x74000004, false);
  transaction: bigint | null = null;
  readonly #settings: ConnectionSettings;
  readonly #channel: Channel;
  readonly #reader = new PacketReader((message) => this.#message(message));
  #state: "prelogin" | "login" | "ready" | "closed" = "prelogin";
  #strict = false;
  #scope: Encryption["scope"] = "nothing";
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
      begins: (strict) => this.#begins(strict),
      received: (bytes) => {
        if (this.#state !== "closed") this.#reader.push(bytes);
      },
      failed: (error) => this.#problem(error),
      closed: () => this.#ended(),
    });
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

  #begins(strict: boolean): void {
    this.#strict = strict;
    if (!strict && this.#settings.strict) {
      throw new ProtocolError("the client speaks TDS 7; only TDS 8.0 (encrypt=strict) is let in");
    }
  }

  #problem(error: Error): void {
    const from = this.#channel.client;
    this.destroy();
    this.#settings.onProblem(new Error(`connection of ${from} closed: ${error.message}`, { cause: error }));
  }

  // Messages

  #message(message: RequestMessage): void {
    switch (this.#state) {
      case "prelogin":
        if (message.type === PACKET.login7 && this.#takesBareLogins) this.#login(message);
        else this.#prelogin(message);
        break;
      case "login":
        this.#login(message);
        break;
      case "ready":
        this.#request(message);
        break;
      case "closed":
    }
  }

  /**
   * PRELOGIN came with TDS 7.1: who begins with LOGIN7, as jTDS does without ssl, is let in where nothing has to be encrypted.
   * MS-TDS 2.2.1.1
   */
  get #takesBareLogins(): boolean {
    return !this.#strict && this.#settings.encryption !== "required";
  }

  #prelogin(message: RequestMessage): void {
    if (message.type !== PACKET.prelogin) {
      throw new ProtocolError(`the first message has type 0x${message.type.toString(16)} instead of PRELOGIN (0x12)`);
    }
    const asked = parsePrelogin(message.data);
    const encryption: Encryption = this.#strict
      ? { answer: asked.encryption, scope: "nothing" }
      : negotiate(asked.encryption, this.#settings.encryption);
    const answer = writePrelogin({
      version: this.#settings.version,
      encryption: encryption.answer,
      mars: asked.mars,
      fedAuth: asked.fedAuth,
    });
    this.#channel.write(packetize(PACKET.response, answer, FIRST_PACKET_SIZE, 0));
    this.#scope = encryption.scope;
    if (encryption.scope === "refuse") {
      const side = encryption.answer === ENCRYPT.notSupported ? "the client wants" : "the server requires";
      throw new RefusedEncryption(`${side} encryption, the other side has none`);
    }
    this.#state = "login";
    if (encryption.scope !== "nothing") this.#channel.startTunnel();
  }

  #login(message: RequestMessage): void {
    if (message.type !== PACKET.login7) {
      throw new ProtocolError(`a message of type 0x${message.type.toString(16)} came instead of LOGIN7 (0x10)`);
    }
    if (this.#scope === "login") this.#channel.leaveTunnel();
    const request = parseLogin(message.data);
    this.dialect = dialectFor(request.tdsVersion, this.#strict, request.features.has(FEATURE.utf8));
    this.#state = "ready";
    this.#serving = true;
    void this.#openSession(request);
  }

  async #openSession(request: LoginRequest): Promise<void> {
    const refusal = unservedLogin(request);
    try {
      if (refusal) throw refusal;
      const encrypted = this.#strict || this.#scope === "all";
      const session = await this.#settings.engine.login({ ...request.login, encrypted });
      if (this.#channel.destroyed) {
        session.close();
        return;
      }
      this.#session = session;
      session.onKill = () => this.#killed();
      this.#welcome(session, request);
    } catch (error) {
      this.#refuseLogin(error as Error, request.login);
      return;
    }
    this.#serving = false;
    if (this.#attention) this.#acknowledge();
    void this.#serve();
  }

  #welcome(session: SqlSession, request: LoginRequest): void {
    const { output, dialect } = this;
    const packetSize = this.#negotiatedSize(request.packetSize);
    this.#knownDatabase = session.database;
    this.#knownCollation = session.collation;
    output.spid = session.spid;
    writeWelcome(output.tokens, dialect, {
      database: session.database,
      collation: collationOf(session.collation).bytes,
      language: session.language,
      packetSize,
      serverName: this.serverName,
      version: this.#settings.version,
      routing: request.login.readOnlyIntent ? this.#settings.readOnlyRouting : undefined,
    });
    void output.end();
    output.packetSize = packetSize;
  }

  #negotiatedSize(asked: number): number {
    const wanted = asked === 0 ? this.#settings.packetSize : asked;
    const largest = this.#scope === "all" ? LARGEST_RECORD : MAX_PACKET_SIZE;
    return Math.min(Math.max(wanted, MIN_PACKET_SIZE), largest);
  }

  #refuseLogin(error: Error, login: Login): void {
    if (!(error instanceof SqlError)) this.#report("the login", error);
    const known =
      error instanceof SqlError ? error : new SqlError(18456, `Login failed for user '${login.user}'.`, 14, 1);
    this.#error(known);
    // A database that cannot be opened ends the login, which SQL Server says too.
    if (known.number === 4060) this.#error(new SqlError(18456, `Login failed for user '${login.user}'.`, 14, 1));
    writeDone(this.output.tokens, this.dialect, TOKEN.done, DONE.error, 0, 0);
    void this.output.end();
    this.#state = "closed";
    this.#channel.end();
  }

  #error(error: SqlError): void {
    writeMessage(this.output.tokens, this.dialect, messageOf(error), this.serverName);
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
      await this.#respond(running, parameters, more, (response) =>
        session.rpc(procedure, parameters, response, running.abort.signal),
      );
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

class RefusedEncryption extends Error {}

const KILLED: ServerMessage = {
  number: 596,
  state: 1,
  severity: 21,
  message: "Cannot continue the execution because the session is in the kill state.",
  line: 1,
  closes: true,
};
