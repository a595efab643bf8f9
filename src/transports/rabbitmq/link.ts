/**
 * One connection to RabbitMQ, made when it is first needed and again after it was lost, and what its errors mean.
 *
 * A channel ends with its connection, or by an error of the broker about what was asked on it; whoever holds one hears of it, and
 * asks for a new one.
 */
import { type Channel, type ChannelModel, type ConfirmChannel, connect } from "amqplib";
import { unlessAborted } from "../../abort.ts";
import { TransportError } from "../../errors.ts";

const CONNECT_WITHIN_MS = 10_000;
/**
 * A broker that has just started may leave questions and publishes without an answer, when the leader of a quorum queue was not
 * elected yet: seen with 3.10. What is not answered by then is asked again on another connection.
 */
export const ANSWER_WITHIN_MS = 10_000;
const CONNECT_OPTIONS = { timeout: CONNECT_WITHIN_MS, clientProperties: { connection_name: "dstream" } };
/** Seconds; two missed ones end a connection, on both sides. */
const HEARTBEAT = 10;

interface Connected {
  connection: ChannelModel;
  /** Aborts when the connection is lost: not every question that is under way then gets an answer. */
  lost: AbortSignal;
  lose: (error: unknown) => void;
  blocked: boolean;
}

export class Link {
  readonly #hosts: URL[];
  #connecting: Promise<Connected> | null = null;
  #connected: Connected | null = null;
  #closed = false;

  /** `amqp://user:password@host,host:port/vhost?heartbeat=10`, or `amqps://`: the hosts are tried in turn. */
  constructor(connectionString: string) {
    this.#hosts = parseHosts(connectionString);
  }

  /** Host and port, for errors. */
  get where(): string {
    return this.#hosts.map(({ host }) => host).join(", ");
  }

  async version(): Promise<number> {
    const { connection } = await this.#connection();
    return Number.parseInt(String(connection.connection.serverProperties.version), 10);
  }

  /** `lost` hears once that the channel is of no use any more. */
  async channel(lost: (error: TransportError) => void): Promise<Channel> {
    return this.#watched(await this.#open((connection) => connection.createChannel()), lost);
  }

  /** Its publishes are confirmed. */
  async confirmChannel(lost: (error: TransportError) => void): Promise<ConfirmChannel> {
    return this.#watched(await this.#open((connection) => connection.createConfirmChannel()), lost);
  }

  /** One question on a channel of its own. */
  async ask<T>(doing: string, work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
    return await this.during(doing, (channel) => this.answered(work(channel)));
  }

  /** Many of them, each of which is put to `answered`. */
  async during<T>(doing: string, work: (channel: ConfirmChannel) => Promise<T>): Promise<T> {
    const channel = await this.confirmChannel(() => {});
    try {
      return await work(channel);
    } catch (error) {
      throw this.error(doing, error);
    } finally {
      await closeQuietly(channel);
    }
  }

  /** The answer, or the connection's end if that comes first; no answer is the connection's end. */
  async answered<T>(question: Promise<T>): Promise<T> {
    const connected = await this.#connecting;
    if (connected === null) return await question;
    const timer = setTimeout(() => this.abandon(connected), ANSWER_WITHIN_MS);
    try {
      return await unlessAborted(question, connected.lost);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the connection, for all who use it: the broker does not answer on it. */
  abandon(connected: Connected | null = this.#connected): void {
    if (connected === null) return;
    connected.lose(new Error(`no answer within ${ANSWER_WITHIN_MS / 1000} s`));
    void connected.connection.close().catch(() => {});
  }

  /** The broker takes nothing more for now, for want of memory or disk: it answers later. */
  get blocked(): boolean {
    return this.#connected?.blocked === true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connected = await this.#connecting?.catch(() => null);
    if (connected) await unlessAborted(connected.connection.close(), connected.lost).catch(() => {});
  }

  /** `doing`: as in "While <doing>". */
  error(doing: string, error: unknown): TransportError {
    if (error instanceof TransportError) return error;
    const { code, message } = error as { code?: number | string; message?: string };
    const said = `While ${doing} at RabbitMQ ${this.where}: ${message || String(code ?? error)}`;
    // https://www.rabbitmq.com/docs/consumers#acknowledgement-timeout: what was out too long comes again, on another channel.
    if (code === 406 && /delivery acknowledgement .*timed out/i.test(message ?? ""))
      return new TransportError("unavailable", said, {
        cause: error,
        advice: "It is waited for: see consumer_timeout.",
      });
    const tooLarge = code === 406 && /larger than configured max size/i.test(message ?? "");
    const advice =
      (tooLarge ? MAX_SIZE : ADVICE[String(code)]) ??
      (/ACCESS_REFUSED|403/.test(message ?? "") ? ADVICE["403"] : undefined);
    if (advice !== undefined) return new TransportError("rejected", said, { cause: error, advice });
    return new TransportError("unavailable", said, { cause: error, advice: "It is waited for." });
  }

  async #open<T>(make: (connection: ChannelModel) => Promise<T>): Promise<T> {
    try {
      const { connection } = await this.#connection();
      return await this.answered(make(connection));
    } catch (error) {
      throw this.error("opening a channel", error);
    }
  }

  #watched<C extends Channel>(channel: C, lost: (error: TransportError) => void): C {
    let cause: unknown;
    channel.on("error", (error) => {
      cause = error;
    });
    const lose = (error: unknown) => lost(this.error("using a channel", cause ?? error));
    const connection = this.#connected?.lost;
    const lostToo = () => lose(connection!.reason);
    connection?.addEventListener("abort", lostToo, { once: true });
    channel.on("close", () => {
      connection?.removeEventListener("abort", lostToo);
      lose(new Error("the channel was closed with its connection"));
    });
    return channel;
  }

  #connection(): Promise<Connected> {
    if (this.#closed) throw new TransportError("unavailable", `The connection to RabbitMQ ${this.where} was closed.`);
    this.#connecting ??= this.#connect();
    return this.#connecting;
  }

  async #connect(): Promise<Connected> {
    const failures: unknown[] = [];
    for (const host of this.#hosts) {
      try {
        return this.#watchedConnection(await withinTime(connect(host.href, CONNECT_OPTIONS)));
      } catch (error) {
        failures.push(error);
      }
    }
    this.#connecting = null;
    throw this.error("connecting", failures[0]);
  }

  #watchedConnection(connection: ChannelModel): Connected {
    const lost = new AbortController();
    const lose = (error: unknown) => {
      if (this.#connected === connected) {
        this.#connecting = null;
        this.#connected = null;
      }
      lost.abort(this.error("using the connection", error ?? new Error("it was closed")));
    };
    const connected: Connected = { connection, lost: lost.signal, lose, blocked: false };
    connection.on("error", lose);
    connection.on("close", lose);
    connection.on("blocked", () => {
      connected.blocked = true;
    });
    connection.on("unblocked", () => {
      connected.blocked = false;
    });
    this.#connected = connected;
    return connected;
  }
}

/** A server that goes away while it greets may leave the greeting without an end. */
async function withinTime(connecting: Promise<ChannelModel>): Promise<ChannelModel> {
  const { promise, reject } = Promise.withResolvers<never>();
  const late = () => {
    reject(new Error(`no answer within ${CONNECT_WITHIN_MS / 1000} s`));
    void connecting.then((connection) => connection.close()).catch(() => {});
  };
  const timer = setTimeout(late, CONNECT_WITHIN_MS);
  try {
    return await Promise.race([connecting, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** One that has been closed already throws. */
export async function closeQuietly(channel: Channel | null | undefined): Promise<void> {
  try {
    // Where the connection is lost there may be no answer.
    await Promise.race([channel?.close(), new Promise((resolve) => channel?.once("close", resolve))]);
  } catch {
    // Nothing hangs on a clean goodbye.
  }
}

const MAX_SIZE = "Raise max_message_size of the broker, or set max_message_bytes to what it takes.";

/** Reply codes of AMQP 0-9-1 that waiting does not heal. */
const ADVICE: Readonly<Record<string, string>> = {
  "403": "Look at the user, the password and its permissions on the virtual host (configure, write and read).",
  "404": "It is made when an ingester or a router that names it starts; look at its name and the virtual host.",
  "406":
    "What is there was made otherwise than dstream needs it (a quorum queue with a single active consumer; a fanout exchange). Name " +
    "another one, or delete it once it is empty.",
  "530": "Look at the virtual host, and whether the user may use it.",
};

function parseHosts(connectionString: string): URL[] {
  const found = /^(amqps?):\/\/((?:[^@/]*@)?)([^/?]+)(.*)$/i.exec(connectionString.trim());
  if (found === null) throw badConnectionString();
  const [, scheme, user, hosts, rest] = found;
  return hosts!.split(",").map((host) => {
    const url = URL.parse(`${scheme}://${user}${host.trim()}${rest}`);
    if (url === null || url.hostname === "") throw badConnectionString();
    if (!url.searchParams.has("heartbeat")) url.searchParams.set("heartbeat", String(HEARTBEAT));
    return url;
  });
}

function badConnectionString(): TransportError {
  return new TransportError("rejected", "The connection string is none of RabbitMQ.", {
    advice:
      "Write it as amqp://user:password@host:5672/vhost, or amqps:// for TLS; what is special in a password is percent-encoded.",
  });
}
