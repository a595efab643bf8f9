/**
 * Stands between a client and a simulator: logins and everything else are the simulator's, but the next requests by RPC are
 * answered with bytes that a test has made, and what the simulator sends can be changed. Without encryption.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { SqlServerTarget } from "../../../../src/sources/sqlserver/connection-string.ts";

export interface ScriptedAnswer {
  bytes: Buffer;
  /** What comes behind them: the end of the connection, or nothing ever; else the connection goes on. */
  afterwards?: "reset" | "silence";
  /** What is sent when the client calls the request off. */
  onAttention?: Buffer;
  /** Bytes of each write; all at once by default. */
  every?: number;
  /** Milliseconds between writes; none by default. */
  pause?: number;
}

const RPC = 0x03;
const ATTENTION = 0x06;

export class ScriptedServer {
  readonly target: SqlServerTarget;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #answers: ScriptedAnswer[] = [];
  /** Requests that were called off. */
  attentions = 0;
  /** What becomes of each chunk that the simulator sends; null: it is handed on as it is. */
  change: ((chunk: Buffer) => Buffer) | null = null;

  private constructor(server: Server, target: SqlServerTarget) {
    this.#server = server;
    this.target = target;
  }

  static async open(behind: SqlServerTarget): Promise<ScriptedServer> {
    const server = createServer({ noDelay: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const [host] = behind.hosts;
    const scripted = new ScriptedServer(server, {
      ...behind,
      encrypt: false,
      hosts: [{ ...host, server: "127.0.0.1", port }],
    });
    server.on("connection", (client) => scripted.#relay(client, connect({ port: host.port!, host: host.server })));
    return scripted;
  }

  /** The next request that is not answered yet gets this. */
  answer(answer: ScriptedAnswer): void {
    this.#answers.push(answer);
  }

  /** Answers that nobody has asked for yet. */
  get waiting(): number {
    return this.#answers.length;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #relay(client: Socket, upstream: Socket): void {
    let current: ScriptedAnswer | null = null;
    let sent = Promise.resolve();
    const close = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      this.#sockets.add(socket);
      socket.on("error", close).on("close", close);
    }
    upstream.on("data", (chunk: Buffer) => client.write(this.change?.(chunk) ?? chunk));
    let received = Buffer.alloc(0);
    client.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      for (let length = packetLength(received); length > 0; length = packetLength(received)) {
        const packet = received.subarray(0, length);
        received = received.subarray(length);
        const last = (packet[1]! & 1) === 1;
        if (packet[0] === RPC && this.#answers.length > 0) {
          if (!last) continue;
          current = this.#answers.shift()!;
          sent = send(client, current, close);
        } else if (packet[0] === ATTENTION && current !== null) {
          this.attentions++;
          const { onAttention } = current;
          if (onAttention) void sent.then(() => client.write(onAttention));
        } else {
          current = null;
          upstream.write(packet);
        }
      }
    });
  }
}

/** 0: the packet is not all there. */
function packetLength(bytes: Buffer): number {
  if (bytes.length < 8) return 0;
  const length = bytes.readUInt16BE(2);
  return length <= bytes.length ? length : 0;
}

async function send(
  client: Socket,
  { bytes, afterwards, every, pause }: ScriptedAnswer,
  close: () => void,
): Promise<void> {
  const step = every ?? Math.max(1, bytes.length);
  for (let at = 0; at < bytes.length; at += step) {
    client.write(bytes.subarray(at, at + step));
    await new Promise((resolve) => (pause === undefined ? setImmediate(resolve) : setTimeout(resolve, pause)));
  }
  if (afterwards === "reset") client.end(close);
}
