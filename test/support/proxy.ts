/** A TCP proxy between clients and a server, whose connections can be dropped, stalled, held back and, for a while, not be had. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { Transform } from "node:stream";
import { resetSocket } from "../../simulator/tds/reset-socket.ts";

export class TcpProxy {
  readonly #pairs = new Set<[Socket, Socket]>();
  readonly #server: Server;
  readonly #targetPort: number;
  #shut = false;
  #held: { what: Buffer; gates: (() => void)[] } | null = null;

  readonly #listen: (() => (chunk: Buffer) => void) | undefined;

  private constructor(server: Server, targetPort: number, listen: (() => (chunk: Buffer) => void) | undefined) {
    this.#server = server;
    this.#targetPort = targetPort;
    this.#listen = listen;
  }

  /** `listen`: called for each client; what it answers hears what that client says. */
  static async start(targetPort: number, listen?: () => (chunk: Buffer) => void): Promise<TcpProxy> {
    const server = createServer({ allowHalfOpen: false });
    const proxy = new TcpProxy(server, targetPort, listen);
    server.on("connection", (client) => {
      if (proxy.#shut) resetSocket(client);
      else proxy.#join([client, connect(targetPort, "127.0.0.1")]);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** The address of the server with this one's port, wherever it stands. */
  through(address: string): string {
    return address.replaceAll(new RegExp(`(?<=[:,=])${this.#targetPort}\\b`, "g"), String(this.port));
  }

  /** Until it is opened again: resets every connection, and each that is made. */
  shut(): void {
    this.#shut = true;
    this.drop();
  }

  open(): void {
    this.#shut = false;
  }

  /** A client that says this is not heard any further, nor with what it says behind it, until `letGo`. */
  hold(what: Buffer): void {
    this.#held = { what, gates: [] };
  }

  /** How many clients are held. */
  get holding(): number {
    return this.#held?.gates.length ?? 0;
  }

  /** What was held back arrives. */
  letGo(): void {
    const gates = this.#held?.gates ?? [];
    this.#held = null;
    for (const open of gates) open();
  }

  /** Resets every connection. */
  drop(): void {
    for (const pair of this.#pairs) for (const socket of pair) resetSocket(socket);
  }

  /** Every connection that there is now says nothing for a while. */
  stall(ms: number): void {
    const stalled = [...this.#pairs].flat();
    for (const socket of stalled) socket.pause();
    setTimeout(() => {
      for (const socket of stalled) socket.resume();
    }, ms).unref();
  }

  async close(): Promise<void> {
    this.drop();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(pair: [Socket, Socket]): void {
    const [client, server] = pair;
    this.#pairs.add(pair);
    const hear = this.#listen?.();
    const gate = new Transform({
      transform: (chunk: Buffer, _, done) => {
        hear?.(chunk);
        if (this.#held !== null && chunk.includes(this.#held.what)) this.#held.gates.push(() => done(null, chunk));
        else done(null, chunk);
      },
    });
    client.pipe(gate).pipe(server);
    server.pipe(client);
    for (const socket of pair) {
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#pairs.delete(pair);
        for (const each of pair) each.destroy();
      });
    }
  }
}
