/** The simulator's door: a TDS server over TCP, in front of an engine that knows nothing of the wire. */
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { hostname } from "node:os";
import { createSecureContext } from "node:tls";
import type { SqlEngine } from "../engine/session.ts";
import { type Certificate, selfSignedCertificate } from "./certificate.ts";
import { Connection, type ConnectionSettings } from "./connection.ts";
import type { NetworkFaults } from "./faults.ts";
import { FIRST_PACKET_SIZE, MAX_PACKET_SIZE, MIN_PACKET_SIZE } from "./packets.ts";
import { type EncryptionPolicy, parseVersion } from "./prelogin.ts";

export interface TdsServerOptions {
  /** In ERROR and INFO tokens; the machine's name by default. */
  serverName?: string;
  /** Of the form 16.0.4135, which is a SQL Server 2022 and the default. */
  serverVersion?: string;
  /**
   * "off" (the default, as SQL Server's): encrypted as far as the client asks, its login always if it can. "required": a
   * client that cannot is turned away. "not_supported": no certificate, everything in the clear. "strict": TDS 8.0 only.
   * But for "not_supported", clients may come with TDS 8.0 under every setting.
   */
  encryption?: EncryptionPolicy | "strict";
  /** Made at start where it is absent. */
  certificate?: Certificate;
  /** Bytes, 512 to 32,767: for clients that leave it to the server; 4,096 by default. */
  packetSize?: number;
  /**
   * Where clients with ApplicationIntent=ReadOnly are sent on to, as a primary replica with read-only routing does:
   * https://learn.microsoft.com/sql/database-engine/availability-groups/windows/configure-read-only-routing-for-an-availability-group-sql-server
   */
  readOnlyRouting?: { host: string; port: number };
  /** Hears of connections that were closed because what came was not TDS, and of faults of the engine. */
  onProblem?: (problem: Error) => void;
}

/** A TCP server's buffer per socket: large enough that a fast reader never makes it wait. */
const WRITE_BUFFER = 256 * 1024;

export class TdsServer {
  readonly certificate: Certificate;
  readonly #settings: ConnectionSettings;
  readonly #connections = new Set<Connection>();
  #server: Server | null = null;
  #address: { port: number; host: string } | null = null;
  #faults: NetworkFaults = {};

  constructor(engine: SqlEngine, options: TdsServerOptions = {}) {
    const { encryption = "off", packetSize = FIRST_PACKET_SIZE } = options;
    if (!["off", "required", "not_supported", "strict"].includes(encryption)) {
      throw new Error(
        `encryption ${JSON.stringify(encryption)} is none of "off", "required", "not_supported", "strict"`,
      );
    }
    if (!(packetSize >= MIN_PACKET_SIZE && packetSize <= MAX_PACKET_SIZE)) {
      throw new Error(`packetSize ${packetSize} is not between ${MIN_PACKET_SIZE} and ${MAX_PACKET_SIZE}`);
    }
    const { key, cert } = (this.certificate = options.certificate ?? selfSignedCertificate());
    this.#settings = {
      engine,
      serverName: options.serverName ?? hostname().toUpperCase(),
      version: parseVersion(options.serverVersion ?? "16.0.4135"),
      encryption: encryption === "strict" ? "required" : encryption,
      strict: encryption === "strict",
      secureContext: createSecureContext({ key, cert }),
      tunnelContext: createSecureContext({ key, cert, maxVersion: "TLSv1.2" }),
      packetSize,
      readOnlyRouting: options.readOnlyRouting,
      onProblem: options.onProblem ?? (() => {}),
    };
  }

  /** Those that are open now. */
  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** Port 0 takes a free one. */
  async listen(port = 0, host = "127.0.0.1"): Promise<{ port: number }> {
    const server = createServer({ highWaterMark: WRITE_BUFFER, noDelay: true }, (socket) => this.#accept(socket));
    server.listen(port, host);
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error(`no port to listen on at ${host}`);
    this.#server = server;
    this.#address = { port: address.port, host };
    return { port: address.port };
  }

  #accept(socket: Socket): void {
    const connection = new Connection(socket, this.#settings, this.#faults);
    this.#connections.add(connection);
    void connection.closed().then(() => this.#connections.delete(connection));
  }

  /** Faults of the connections that come from now on; `connection.setFaults` changes those of one that is open. */
  setFaults(faults: NetworkFaults): void {
    this.#faults = faults;
  }

  /** While on, nobody listens on the port: new connections are refused, open ones stay. */
  async refuse(on: boolean): Promise<void> {
    if (on && this.#server) {
      // `close` also waits for open connections, which are to stay.
      this.#server.close();
      this.#server = null;
    } else if (!on && !this.#server && this.#address) {
      await this.listen(this.#address.port, this.#address.host);
    }
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    this.#server?.close();
    this.#server = null;
    const open = [...this.#connections];
    for (const connection of open) connection.destroy();
    await Promise.all(open.map((connection) => connection.closed()));
  }
}
