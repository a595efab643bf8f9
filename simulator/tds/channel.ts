/**
 * The bytes of one connection, encrypted or not: what arrives goes to `received` in the clear, what is written travels as
 * was negotiated. It starts plain; the first byte of the client may make it TLS from the start (TDS 8.0), PRELOGIN may wrap
 * TLS into packets, and may leave it again after the login.
 */
import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import { FaultyWriter, type NetworkFaults } from "./faults.ts";
import type { PacketSink } from "./output.ts";
import { resetSocket } from "./reset-socket.ts";
import { TlsTunnel } from "./tunnel.ts";

export interface ChannelEvents {
  /** The client's first bytes are here, before any was handed on. An error it throws closes the channel. */
  begins(strict: boolean): void;
  /** Bytes of TDS. An error it throws closes the channel. */
  received(bytes: Buffer): void;
  /** Something that is not TDS, or a handshake that failed. The channel is closed. */
  failed(error: Error): void;
  /** Once, after everything else. */
  closed(): void;
}

export interface ChannelContexts {
  /** For TDS 8.0. */
  readonly secureContext: SecureContext;
  /** For TLS inside TDS 7: no TLS 1.3, which still says something after the handshake that PRELOGIN packets wrap. */
  readonly tunnelContext: SecureContext;
}

const TLS_HANDSHAKE = 0x16;

export class Channel implements PacketSink {
  readonly #socket: Socket;
  readonly #contexts: ChannelContexts;
  readonly #events: ChannelEvents;
  readonly #faulty: FaultyWriter;
  readonly #gone: Promise<void>;
  #tls: TLSSocket | null = null;
  #tunnel: TlsTunnel | null = null;
  #drain: Promise<void> | null = null;

  constructor(socket: Socket, contexts: ChannelContexts, faults: NetworkFaults, events: ChannelEvents) {
    this.#socket = socket;
    this.#contexts = contexts;
    this.#events = events;
    this.#faulty = new FaultyWriter({
      write: (bytes) => this.#stream.write(bytes),
      reset: () => resetSocket(socket),
    });
    this.#faulty.set(faults);
    this.#gone = new Promise((resolve) => socket.once("close", () => resolve()));
    void this.#gone.then(() => this.#closed());
    // A reset by the client is an end like any other.
    socket.on("error", () => socket.destroy());
    socket.once("data", (chunk: Buffer) => this.#firstBytes(chunk));
  }

  get encrypted(): boolean {
    return this.#tls !== null;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed;
  }

  /** The client does not read what it was sent. */
  get blocked(): boolean {
    return this.#socket.writableNeedDrain || this.#faulty.busy;
  }

  /** Address and port of the client, for messages. */
  get client(): string {
    return `${this.#socket.remoteAddress ?? "?"}:${this.#socket.remotePort ?? "?"}`;
  }

  /** Byte counts begin anew. */
  setFaults(faults: NetworkFaults): void {
    this.#faulty.set(faults);
  }

  /** Resolves when the socket is closed. */
  gone(): Promise<void> {
    return this.#gone;
  }

  destroy(): void {
    this.#socket.destroy();
  }

  reset(): void {
    resetSocket(this.#socket);
  }

  /** Closes once what was written has gone out. */
  end(): void {
    void this.drained().then(() => this.#stream.end());
  }

  /** Goes on in TLS whose handshake is wrapped in PRELOGIN packets. */
  startTunnel(): void {
    this.#tunnel = new TlsTunnel({
      write: (bytes) => this.#socket.write(bytes),
      drained: () => this.#writable(this.#socket),
    });
    this.#startTls(this.#tunnel, { secureContext: this.#contexts.tunnelContext });
  }

  /** Only the login was encrypted: TLS is left without a word. */
  leaveTunnel(): void {
    this.#tls?.removeAllListeners("data");
    this.#tls = null;
    this.#tunnel = null;
  }

  /** Where the socket has taken everything; what becomes of bytes under TLS, or under faults, is not told. */
  get idle(): boolean {
    return this.#tls === null && !this.#faulty.active && this.#socket.writableLength === 0;
  }

  write(bytes: Buffer): boolean {
    if (this.#socket.destroyed) return false;
    if (!this.#faulty.active) return this.#stream.write(bytes);
    this.#faulty.write(bytes);
    return false;
  }

  drained(): Promise<void> {
    // Whoever still writes yields to the events that tell it that the client is gone.
    if (this.#socket.destroyed) return new Promise((resolve) => setImmediate(resolve));
    if (this.#faulty.active) return this.#faulty.drained();
    // One for all who ask: writers that do not wait pile up no listeners.
    this.#drain ??= this.#writable(this.#stream).finally(() => {
      this.#drain = null;
    });
    return this.#drain;
  }

  get #stream(): Socket | TLSSocket {
    return this.#tls ?? this.#socket;
  }

  #writable(stream: Socket | TLSSocket): Promise<void> {
    if (!stream.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        stream.off("drain", done);
        this.#socket.off("close", done);
        resolve();
      };
      stream.on("drain", done);
      this.#socket.on("close", done);
    });
  }

  #firstBytes(chunk: Buffer): void {
    const strict = chunk[0] === TLS_HANDSHAKE;
    this.#guard(() => this.#events.begins(strict));
    if (this.#socket.destroyed) return;
    if (strict) {
      // TDS 8.0: TLS comes first, as for any other protocol.
      this.#socket.pause();
      this.#socket.unshift(chunk);
      this.#startTls(this.#socket, { secureContext: this.#contexts.secureContext, ALPNProtocols: ["tds/8.0"] });
      return;
    }
    this.#socket.on("data", (bytes: Buffer) => this.#raw(bytes));
    this.#raw(chunk);
  }

  #raw(bytes: Buffer): void {
    this.#guard(() => {
      if (this.#tunnel) this.#tunnel.feed(bytes);
      else this.#events.received(bytes);
    });
  }

  #guard(work: () => void): void {
    if (this.#socket.destroyed) return;
    try {
      work();
    } catch (error) {
      this.#events.failed(error as Error);
    }
  }

  #startTls(over: Socket | TlsTunnel, options: { secureContext: SecureContext; ALPNProtocols?: string[] }): void {
    const tls = new TLSSocket(over as Socket, { isServer: true, ...options });
    this.#tls = tls;
    let established = false;
    tls.once("secure", () => {
      established = true;
    });
    tls.on("data", (bytes: Buffer) => this.#guard(() => this.#events.received(bytes)));
    tls.on("end", () => this.#socket.end());
    tls.on("error", (error) => {
      if (established) this.#socket.destroy();
      else this.#events.failed(new Error(`TLS handshake: ${error.message}`, { cause: error }));
    });
  }

  #closed(): void {
    this.#faulty.close();
    this.#tls?.destroy();
    this.#events.closed();
  }
}
