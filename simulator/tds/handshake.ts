/**
 * The way to a login, after MS-TDS 3.3.5:
 *
 *   prelogin ──> [TLS in PRELOGIN packets] ──> login ──> over
 *
 * - prelogin: waits for PRELOGIN, answers it, and starts TLS as it was negotiated; or takes a LOGIN7 without one.
 * - login: waits for LOGIN7. Where only the login is encrypted, both sides go on in the clear from here.
 */
import { collationOf } from "../engine/collations.ts";
import { type Login, messageOf, SqlError, type SqlSession } from "../engine/session.ts";
import { ProtocolError } from "./bytes.ts";
import type { Channel } from "./channel.ts";
import type { ConnectionSettings } from "./connection.ts";
import { type Dialect, dialectFor } from "./dialect.ts";
import { FEATURE, type LoginRequest, parseLogin } from "./login.ts";
import type { Output } from "./output.ts";
import {
  FIRST_PACKET_SIZE,
  MAX_PACKET_SIZE,
  MIN_PACKET_SIZE,
  PACKET,
  packetize,
  type RequestMessage,
} from "./packets.ts";
import { ENCRYPT, type Encryption, negotiate, parsePrelogin, writePrelogin } from "./prelogin.ts";
import { DONE, TOKEN, writeDone, writeMessage } from "./tokens.ts";
import { writeWelcome } from "./welcome.ts";

/** Under TLS inside TDS a packet has to fit into one TLS record. */
const LARGEST_RECORD = 16_383;

export class Handshake {
  readonly #settings: ConnectionSettings;
  readonly #channel: Channel;
  #waitsFor: "prelogin" | "login" = "prelogin";
  #strict = false;
  #scope: Encryption["scope"] = "nothing";

  constructor(settings: ConnectionSettings, channel: Channel) {
    this.#settings = settings;
    this.#channel = channel;
  }

  /** The first byte has come. */
  begins(strict: boolean): void {
    this.#strict = strict;
    if (!strict && this.#settings.strict) {
      throw new ProtocolError("the client speaks TDS 7; only TDS 8.0 (encrypt=strict) is let in");
    }
  }

  /** Takes a message of the client; the login, with which it is over. */
  take(message: RequestMessage): { request: LoginRequest; dialect: Dialect } | null {
    if (this.#waitsFor === "login" || (message.type === PACKET.login7 && this.#takesBareLogins))
      return this.#login(message);
    this.#prelogin(message);
    return null;
  }

  /** Whether all that comes after it is encrypted. */
  get encrypted(): boolean {
    return this.#strict || this.#scope === "all";
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
    this.#waitsFor = "login";
    if (encryption.scope !== "nothing") this.#channel.startTunnel();
  }

  #login(message: RequestMessage): { request: LoginRequest; dialect: Dialect } {
    if (message.type !== PACKET.login7) {
      throw new ProtocolError(`a message of type 0x${message.type.toString(16)} came instead of LOGIN7 (0x10)`);
    }
    if (this.#scope === "login") this.#channel.leaveTunnel();
    const request = parseLogin(message.data);
    return { request, dialect: dialectFor(request.tdsVersion, this.#strict, request.features.has(FEATURE.utf8)) };
  }

  /** Lets the client in: what comes after this answer has the negotiated packet size. */
  welcome(output: Output, dialect: Dialect, session: SqlSession, request: LoginRequest): void {
    const { serverName, version, readOnlyRouting } = this.#settings;
    const packetSize = this.#negotiatedSize(request.packetSize);
    output.spid = session.spid;
    writeWelcome(output.tokens, dialect, {
      database: session.database,
      collation: collationOf(session.collation).bytes,
      language: session.language,
      packetSize,
      serverName,
      version,
      routing: request.login.readOnlyIntent ? readOnlyRouting : undefined,
    });
    void output.end();
    output.packetSize = packetSize;
  }

  #negotiatedSize(asked: number): number {
    const wanted = asked === 0 ? this.#settings.packetSize : asked;
    const largest = this.#scope === "all" ? LARGEST_RECORD : MAX_PACKET_SIZE;
    return Math.min(Math.max(wanted, MIN_PACKET_SIZE), largest);
  }

  /** Turns the client away with the engine's error, or, where it failed otherwise, with 18456. */
  refuse(output: Output, dialect: Dialect, error: Error, { user }: Login): void {
    const failed = new SqlError(18456, `Login failed for user '${user}'.`, 14, 1);
    const known = error instanceof SqlError ? error : failed;
    // A database that cannot be opened ends the login, which SQL Server says too.
    for (const each of known.number === 4060 ? [known, failed] : [known])
      writeMessage(output.tokens, dialect, messageOf(each), this.#settings.serverName);
    writeDone(output.tokens, dialect, TOKEN.done, DONE.error, 0, 0);
    void output.end();
  }
}

class RefusedEncryption extends Error {}
