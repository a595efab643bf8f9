/**
 * One connection to NATS, made when it is first needed and again after it was lost, and what its errors mean. The client's own
 * reconnecting is off: it would send later what a caller has been told has failed.
 */
import { readFileSync } from "node:fs";
import {
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import {
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  type NodeConnectionOptions,
} from "@nats-io/transport-node";
import { TransportError } from "../errors.ts";

export interface NatsOptions {
  /** `nats://user:password@host:4222,host2:4222`, `nats://token@host`, or `tls://`. */
  connectionString: string;
  /** Files; absolute paths. */
  credentialsFile?: string | undefined;
  caFile?: string | undefined;
  certFile?: string | undefined;
  keyFile?: string | undefined;
}

export interface Connected {
  nc: NatsConnection;
  js: JetStreamClient;
  jsm: JetStreamManager;
}

const CONNECT_WITHIN_MS = 10_000;
/** A question that has no answer by then has failed. */
const ANSWER_WITHIN_MS = 10_000;
/** How often a silent connection is tried; two answers missing end it. */
const PING_MS = 10_000;

export class NatsLink {
  readonly #options: NodeConnectionOptions;
  #connecting: Promise<Connected> | null = null;
  #closed = false;

  /** Throws TransportError where the connection string or a file is no good. */
  constructor(options: NatsOptions) {
    this.#options = connectionOptions(options);
  }

  /** Hosts and ports, for errors. */
  get where(): string {
    return (this.#options.servers as string[]).join(", ");
  }

  /** `doing`: as in "While <doing>". */
  async connected(doing: string): Promise<Connected> {
    if (this.#closed) throw new TransportError("unavailable", `The connection to NATS ${this.where} was closed.`);
    this.#connecting ??= this.#connect();
    try {
      return await this.#connecting;
    } catch (error) {
      throw this.error(doing, error);
    }
  }

  async ask<T>(doing: string, work: (connected: Connected) => Promise<T>): Promise<T> {
    const connected = await this.connected(doing);
    try {
      return await work(connected);
    } catch (error) {
      throw this.error(doing, error);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const connected = await this.#connecting?.catch(() => null);
    await connected?.nc.close();
  }

  /** `doing`: as in "While <doing>". */
  error(doing: string, error: unknown): TransportError {
    if (error instanceof TransportError) return error;
    const { message } = error as Error;
    const said = `While ${doing} at NATS ${this.where}: ${message}`;
    const advice = adviceOf(error);
    if (advice !== undefined) return new TransportError("rejected", said, { cause: error, advice });
    return new TransportError("unavailable", said, {
      cause: error,
      advice:
        (error as Error).name === "JetStreamNotEnabled"
          ? "It is waited for. If it stays so: JetStream is off (nats-server -js), or the stream has no leader."
          : "It is waited for.",
    });
  }

  async #connect(): Promise<Connected> {
    try {
      const nc = await connect(this.#options);
      void nc.closed().then(() => {
        this.#connecting = null;
      });
      const options = { timeout: ANSWER_WITHIN_MS };
      return { nc, js: jetstream(nc, options), jsm: await jetstreamManager(nc, { ...options, checkAPI: false }) };
    } catch (error) {
      this.#connecting = null;
      throw error;
    }
  }
}

/** Codes of the JetStream API that waiting does not heal (server/errors.json of nats-server). */
const ADVICE: Readonly<Record<number, string>> = {
  10039: "Enable JetStream for the account.",
  10052: "Look at the stream's settings: the server does not take them.",
  10059: "It is made when an ingester or a router that names it starts; look at its name and the account.",
  10065: "Another stream has this subject: rename the entity, or take the subject out of that stream.",
  10074: "The server has fewer nodes than `replicas` asks for.",
};

function adviceOf(error: unknown): string | undefined {
  if (error instanceof JetStreamApiError) return ADVICE[error.code];
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError)
    return "Look at the user, password, token or credentials file.";
  if (error instanceof errors.PermissionViolationError)
    return "Allow the user to publish and subscribe there, to $JS.API.> and to its inbox.";
  const { cause } = error as { cause?: unknown };
  return cause instanceof Error && cause !== error ? adviceOf(cause) : undefined;
}

function connectionOptions(options: NatsOptions): NodeConnectionOptions {
  const found = /^(nats|tls):\/\/(?:([^@/]*)@)?([^/?@]+)\/?$/i.exec(options.connectionString.trim());
  if (found === null) {
    throw new TransportError("rejected", "The connection string is none of NATS.", {
      advice:
        "Write it as nats://user:password@host:4222, nats://token@host or nats://host1,host2, or tls:// for TLS; what is special in " +
        "a password is percent-encoded.",
    });
  }
  const [, scheme, user, hosts] = found;
  const secure = scheme!.toLowerCase() === "tls" || options.caFile !== undefined || options.certFile !== undefined;
  return {
    servers: hosts!.split(",").map((host) => host.trim()),
    ...signIn(user, options.credentialsFile),
    ...(secure && {
      tls: {
        handshakeFirst: false,
        ...(options.caFile && { caFile: options.caFile }),
        ...(options.certFile && { certFile: options.certFile }),
        ...(options.keyFile && { keyFile: options.keyFile }),
      },
    }),
    name: "dstream",
    timeout: CONNECT_WITHIN_MS,
    pingInterval: PING_MS,
    maxPingOut: 2,
    reconnect: false,
    // What the configuration names is what is used.
    ignoreClusterUpdates: true,
  };
}

function signIn(user: string | undefined, credentialsFile: string | undefined): NodeConnectionOptions {
  if (credentialsFile !== undefined) {
    try {
      return { authenticator: credsAuthenticator(readFileSync(credentialsFile)) };
    } catch (error) {
      throw new TransportError(
        "rejected",
        `Cannot read credentials_file ${credentialsFile}: ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    }
  }
  if (user === undefined || user === "") return {};
  const colon = user.indexOf(":");
  if (colon < 0) return { token: decodeURIComponent(user) };
  return { user: decodeURIComponent(user.slice(0, colon)), pass: decodeURIComponent(user.slice(colon + 1)) };
}
