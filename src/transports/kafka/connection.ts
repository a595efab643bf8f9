/** How Kafka is reached, and what its errors mean. */
import { readFileSync } from "node:fs";
import { type BaseOptions, findErrorBy, type SASLOptions } from "@platformatic/kafka";
import { TransportError } from "../../errors.ts";
import { isLoopback } from "../../loopback.ts";
import type { KafkaSettings } from "./settings.ts";

/** What all clients of a transport are made with. */
export interface KafkaConnection {
  options: BaseOptions;
  /** Brokers, for errors. */
  where: string;
  /** Of what is sent. */
  compression: NonNullable<KafkaSettings["compression"]>;
}

/** A question that has no answer by then has failed. */
const ANSWER_WITHIN_MS = 10_000;
const CONNECT_WITHIN_MS = 10_000;
/** In all of Azure's clouds. */
const EVENT_HUBS = /\.servicebus\.[a-z.]+:\d+$/i;

/**
 * `kafka://user:password@host:9092,host2:9092`, `kafkas://` for TLS, or the connection string of an Event Hubs namespace, whose Kafka
 * endpoint it then means (https://learn.microsoft.com/azure/event-hubs/azure-event-hubs-kafka-overview).
 */
export function kafkaConnection(connectionString: string, settings: KafkaSettings): KafkaConnection {
  const { brokers, secure, user, password } = parse(connectionString);
  const tls = {
    ...(settings.ca_file && { ca: file("ca_file", settings.ca_file) }),
    ...(settings.cert_file && { cert: file("cert_file", settings.cert_file) }),
    ...(settings.key_file && { key: file("key_file", settings.key_file) }),
  };
  return {
    where: brokers.join(", "),
    // Measured over loopback: row messages are sent the fastest with zstd, and with less CPU than without any.
    compression: settings.compression ?? (brokers.some((broker) => EVENT_HUBS.test(broker)) ? "none" : "zstd"),
    options: {
      clientId: "dstream",
      bootstrapBrokers: brokers,
      ...((secure || Object.keys(tls).length > 0) && { tls, tlsServerName: true }),
      ...(user !== undefined && { sasl: signIn(user, password ?? "", settings) }),
      timeout: ANSWER_WITHIN_MS,
      connectTimeout: CONNECT_WITHIN_MS,
      // Who calls tries again, and is told meanwhile.
      retries: 2,
      retryDelay: 250,
    } as BaseOptions,
  };
}

/** `doing`: as in "While <doing>". */
export function kafkaError(doing: string, where: string, error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  const said = `While ${doing} at Kafka ${where}: ${deepest(error)}`;
  const noToken = tokenErrorIn(error);
  if (noToken !== null) return new TransportError(noToken.reason, said, { cause: error, advice: noToken.advice });
  const advice = isMissingTopic(error) ? ADVICE["UNKNOWN_TOPIC_OR_PARTITION"] : adviceOf(error);
  if (advice !== undefined) return new TransportError("rejected", said, { cause: error, advice });
  return new TransportError("unavailable", said, { cause: error, advice: "It is waited for." });
}

export function isProtocolError(error: unknown, ...ids: string[]): boolean {
  return ids.some((id) => findErrorBy(error as Error, "apiId", id) !== null);
}

/** The client says some of it in words of its own. */
export function isMissingTopic(error: unknown): boolean {
  return isProtocolError(error, "UNKNOWN_TOPIC_OR_PARTITION") || /^Unknown topic /.test(deepest(error));
}

const ACCESS = "Allow the user to read, write, create and describe the topics, and to read the group.";

/** What waiting does not heal (https://kafka.apache.org/protocol.html#protocol_error_codes). */
const ADVICE: Readonly<Record<string, string>> = {
  PLT_KFK_AUTHENTICATION: "Look at user, password and `sasl`.",
  SASL_AUTHENTICATION_FAILED: "Look at user, password and `sasl`.",
  UNSUPPORTED_SASL_MECHANISM: "Set `sasl` to what the brokers offer.",
  ILLEGAL_SASL_STATE: "The brokers want a user: name one in the connection string.",
  TOPIC_AUTHORIZATION_FAILED: ACCESS,
  GROUP_AUTHORIZATION_FAILED: ACCESS,
  CLUSTER_AUTHORIZATION_FAILED: ACCESS,
  UNKNOWN_TOPIC_OR_PARTITION: "It is made when an ingester or a router that names it starts; look at its name.",
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    "Allow the user to write and describe transactional ids that begin with dstream-, or keep checkpoints elsewhere.",
  INVALID_TRANSACTION_TIMEOUT: "Set transaction.max.timeout.ms of the brokers to 30 seconds or more.",
  INVALID_REPLICATION_FACTOR: "There are fewer brokers than `replication_factor` asks for.",
  INVALID_PARTITIONS: "Set `partitions` to what the brokers take.",
  INVALID_CONFIG: "The brokers do not take what the topic is to be made with.",
  POLICY_VIOLATION: "A policy of the brokers does not let the topic be made so: make it yourself.",
  INVALID_TOPIC_EXCEPTION: "Choose another name.",
  INVALID_SESSION_TIMEOUT:
    "Set `session_timeout` to what the brokers take (group.min.session.timeout.ms and its like).",
};

/** Errors stand in errors: of several brokers, of several attempts. */
function adviceOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const {
    apiId = "",
    code = "",
    errors = [],
    cause,
  } = error as {
    apiId?: string;
    code?: string;
    errors?: unknown[];
    cause?: unknown;
  };
  return ADVICE[apiId] ?? ADVICE[code] ?? [...errors, cause].map(adviceOf).find((advice) => advice !== undefined);
}

/** What `token` said; the client takes it for a refusal by the broker. */
function tokenErrorIn(error: unknown): TransportError | null {
  if (error instanceof TransportError) return error;
  if (typeof error !== "object" || error === null) return null;
  const { errors = [], cause } = error as { errors?: unknown[]; cause?: unknown };
  return [...errors, cause].map(tokenErrorIn).find((found) => found !== null) ?? null;
}

function deepest(error: unknown): string {
  const { message, errors, cause } = error as { message?: string; errors?: unknown[]; cause?: unknown };
  const within = errors?.at(-1) ?? cause;
  return within === undefined || within === null ? (message ?? String(error)) : deepest(within);
}

function file(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new TransportError("rejected", `Cannot read ${setting} ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function parse(text: string): { brokers: string[]; secure: boolean; user?: string; password?: string } {
  const eventHubs = /^Endpoint=sb:\/\/([^/;]+)/i.exec(text.trim());
  if (eventHubs !== null) {
    return { brokers: [`${eventHubs[1]}:9093`], secure: true, user: "$ConnectionString", password: text.trim() };
  }
  const found = /^(?:(kafkas?):\/\/)?(?:([^@/]*)@)?([^/?@]+)\/?$/i.exec(text.trim());
  if (found === null) {
    throw new TransportError("rejected", "The connection string is none of Kafka.", {
      advice:
        "Write it as kafka://user:password@host:9092,host2:9092, or kafkas:// for TLS; what is special in a password is " +
        "percent-encoded.",
    });
  }
  const [, scheme, user, hosts] = found;
  const brokers = hosts!.split(",").map((host) => (/:\d+$/.test(host.trim()) ? host.trim() : `${host.trim()}:9092`));
  const secure = scheme?.toLowerCase() === "kafkas";
  if (user === undefined || user === "") return { brokers, secure };
  const [name, ...rest] = user.split(":");
  return { brokers, secure, user: decodeURIComponent(name!), password: decodeURIComponent(rest.join(":")) };
}

function signIn(user: string, password: string, settings: KafkaSettings): SASLOptions {
  const mechanism = settings.sasl;
  if (mechanism !== "OAUTHBEARER") return { mechanism, username: user, password };
  const url = settings.oauth_token_url;
  if (url === undefined) {
    throw new TransportError("rejected", 'sasl = "OAUTHBEARER" needs oauth_token_url.', {
      advice: "Set it to where tokens are had for client id and secret (the OAuth 2.0 token endpoint).",
    });
  }
  const address = tokenAddress(url);
  return {
    mechanism,
    token: () => token(address, user, password, settings.oauth_scope),
    oauthBearerExtensions: extensions(settings.oauth_extensions ?? ""),
  };
}

function tokenAddress(text: string): URL {
  const url = URL.parse(text);
  const advice = "Name the https address of the token endpoint; client id and secret stand in the connection string.";
  // What is wrong with it is said without it: it may hold a secret.
  if (url === null || url.username !== "" || url.password !== "")
    throw new TransportError("rejected", "oauth_token_url is no address, or holds a user or a password.", { advice });
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.host)))
    throw new TransportError(
      "rejected",
      `oauth_token_url ${shown(url)} is no https address: the secret would be read by others.`,
      { advice },
    );
  return url;
}

/** Without its query, which may hold a key. */
function shown({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

/** `name=value,…`; a name is letters, a value ends at a comma (RFC 7628, section 3.1). */
function extensions(text: string): Record<string, string> {
  const pairs = text.split(",").filter((pair) => pair.trim() !== "");
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, name, value] = /^\s*([A-Za-z]+)=([\x21-\x7e]+)\s*$/.exec(pair) ?? [];
      if (name === undefined || name.toLowerCase() === "auth")
        throw new TransportError("rejected", `oauth_extensions holds "${pair.trim()}", which is no name=value.`, {
          advice: "Write it as logicalCluster=lkc-abc123,identityPoolId=pool-xyz.",
        });
      return [name, value!];
    }),
  );
}

/** What heals by itself, as an OAuth 2.0 server says it (RFC 6749, sections 4.1.2.1 and 5.2). */
const FOR_NOW: readonly unknown[] = ["temporarily_unavailable", "server_error"];

/** The client credentials grant (RFC 6749, section 4.4). Asked for with each connection, and as the broker wants it anew. */
async function token(url: URL, id: string, secret: string, scope: string | undefined): Promise<string> {
  const body = new URLSearchParams({ grant_type: "client_credentials", ...(scope && { scope }) });
  const authorization = `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString("base64")}`;
  const failed = (reason: "rejected" | "unavailable", why: string, advice: string) =>
    new TransportError(reason, `${shown(url)} gave no token: ${why}`, { advice });
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const asking = async () => {
    const answer = await fetch(url, { method: "POST", body, headers: { authorization }, signal });
    return { status: answer.status, statusText: answer.statusText, text: await answer.text() };
  };
  const { status, statusText, text } = await asking().catch((error: Error) => {
    throw failed("unavailable", deepest(error), "It is waited for.");
  });
  const { access_token, error } = membersOf(text);
  if (typeof access_token === "string" && access_token !== "") return access_token;
  const why = `${status} ${typeof error === "string" ? error : statusText}`;
  // 408 and 429: not now.
  if (status >= 500 || status === 408 || status === 429 || FOR_NOW.includes(error))
    throw failed("unavailable", why, "It is waited for.");
  throw failed(
    "rejected",
    why,
    "Look at oauth_token_url and oauth_scope, and at client id and secret in the connection string.",
  );
}

/** Of a JSON object; none of anything else. */
function membersOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
