/** How Event Hubs is reached, and what its errors mean. */
import { ConnectionConfig, createSasTokenProvider, TokenType } from "@azure/core-amqp";
import { EventHubProducerClient, parseEventHubConnectionString } from "@azure/event-hubs";
import { DefaultAzureCredential, type TokenCredential } from "@azure/identity";
import { TransportError } from "../../errors.ts";

export interface Claim {
  token: string;
  type: TokenType;
  /** When to ask for another one. */
  renewInMs: number;
}

/** Who calls tries again, and is told meanwhile. */
const RETRY = { maxRetries: 1, retryDelayInMs: 500, timeoutInMs: 10_000 };
const AAD_SCOPE = "https://eventhubs.azure.net/.default";
const HOST = /^(?:sb:\/\/)?([\w-]+(?:\.[\w-]+)+)\/?$/;
/** Tokens of a key last an hour. */
const SAS_RENEWAL_MS = 45 * 60_000;
const AAD_RENEWAL_AHEAD_MS = 2 * 60_000;

/** A connection string, or `<namespace>.servicebus.windows.net`: then a managed identity signs in. */
export class EventHubsLink {
  /** The namespace. */
  readonly where: string;
  readonly #connectionString: string;
  readonly #credential: TokenCredential | null;
  readonly #producers = new Map<string, EventHubProducerClient>();

  constructor(connectionString: string) {
    const text = connectionString.trim();
    const host = HOST.exec(text)?.[1];
    this.#credential = host === undefined ? null : new DefaultAzureCredential();
    this.#connectionString = text;
    try {
      this.where = host ?? parseEventHubConnectionString(text).fullyQualifiedNamespace.replace(/:\d+$/, "");
    } catch (error) {
      throw notOurs(error);
    }
  }

  /** One connection a hub: for sending, and for questions about it. */
  producer(hub: string): EventHubProducerClient {
    let producer = this.#producers.get(hub);
    if (producer === undefined) {
      const options = { retryOptions: RETRY };
      try {
        producer =
          this.#credential === null
            ? new EventHubProducerClient(this.#connectionString, hub, options)
            : new EventHubProducerClient(this.where, hub, this.#credential, options);
      } catch (error) {
        throw notOurs(error);
      }
      this.#producers.set(hub, producer);
    }
    return producer;
  }

  /** For connections of our own. */
  config(hub: string): ConnectionConfig {
    // The client, too, makes one with a key that nobody has where none is used.
    const keyless = `Endpoint=sb://${this.where};SharedAccessKeyName=none;SharedAccessKey=none`;
    return ConnectionConfig.create(this.#credential === null ? this.#connectionString : keyless, hub);
  }

  async claim(audience: string): Promise<Claim> {
    if (this.#credential !== null) {
      const found = await this.#credential.getToken(AAD_SCOPE);
      if (found === null) throw new Error("no token was given");
      const renewInMs = Math.max(found.expiresOnTimestamp - Date.now() - AAD_RENEWAL_AHEAD_MS, 10_000);
      return { token: found.token, type: TokenType.CbsTokenTypeJwt, renewInMs };
    }
    const { sharedAccessKeyName, sharedAccessKey, sharedAccessSignature } = parseEventHubConnectionString(
      this.#connectionString,
    );
    const provider = createSasTokenProvider(
      sharedAccessSignature === undefined
        ? { sharedAccessKeyName: sharedAccessKeyName!, sharedAccessKey: sharedAccessKey! }
        : { sharedAccessSignature },
    );
    const { token } = await provider.getToken(audience);
    return { token, type: TokenType.CbsTokenTypeSas, renewInMs: SAS_RENEWAL_MS };
  }

  /** The command that makes a hub: that takes Azure Resource Manager. */
  howToMake(hub: string): string {
    return (
      `az eventhubs eventhub create --resource-group <group> --namespace-name ${this.where.split(".")[0]} --name ${hub} ` +
      "--partition-count 4 --cleanup-policy Delete --retention-time-in-hours 168"
    );
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#producers.values()].map((producer) => producer.close()));
    this.#producers.clear();
  }
}

/** `doing`: as in "While <doing>". */
export function eventHubsError(doing: string, link: EventHubsLink, error: unknown, hub?: string): TransportError {
  if (error instanceof TransportError) return error;
  const { code = "", message, name } = lastOf(error);
  const said = `While ${doing} at Event Hubs ${link.where}: ${message.split("\n")[0] || name}`;
  const advice = isMissing(error) && hub !== undefined ? missingAdvice(link, hub) : ADVICE[code];
  if (advice !== undefined) return new TransportError("rejected", said, { cause: error, advice });
  return new TransportError("unavailable", said, { cause: error, advice: "It is waited for." });
}

export function isMissing(error: unknown): boolean {
  return lastOf(error).code === "MessagingEntityNotFoundError";
}

export function missingAdvice(link: EventHubsLink, hub: string): string {
  return `dstream cannot make hubs and consumer groups. Look at their names, or make what is missing: ${link.howToMake(hub)}`;
}

/** By the client's names (ConditionErrorNameMapper of @azure/core-amqp). */
export function codeOf(error: unknown): string {
  return lastOf(error).code ?? "";
}

/** Of several attempts, what the last one was told. */
function lastOf(error: unknown): { code?: string; message: string; name: string } {
  const { errors } = error as { errors?: unknown[] };
  return errors === undefined || errors.length === 0 ? (error as Error) : lastOf(errors.at(-1));
}

/** What waiting does not heal (https://learn.microsoft.com/azure/event-hubs/exceptions-dotnet). */
const ADVICE: Readonly<Record<string, string>> = {
  UnauthorizedError:
    "Look at the connection string: the policy needs Send for what is sent to and Listen for what is read (with a managed identity: the roles " +
    "Azure Event Hubs Data Sender and Data Receiver).",
  MessagingEntityDisabledError: "Enable the hub in the portal.",
  MessagingEntityNotFoundError: "Look at the name of the hub and of its consumer group: both have to be there.",
  ArgumentOutOfRangeError: "Look at the hub's partitions.",
};

function notOurs(error: unknown): TransportError {
  return new TransportError("rejected", `The connection string is none of Event Hubs: ${(error as Error).message}`, {
    cause: error,
    advice:
      "Copy it from the namespace (Shared access policies), or write <namespace>.servicebus.windows.net to sign in with a managed identity. " +
      "One with EntityPath is good for that hub alone.",
  });
}
