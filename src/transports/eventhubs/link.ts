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
      this.#refuseOther(hub);
      const options = { retryOptions: RETRY };
      producer =
        this.#credential === null
          ? new EventHubProducerClient(this.#connectionString, hub, options)
          : new EventHubProducerClient(this.where, hub, this.#credential, options);
      this.#producers.set(hub, producer);
    }
    return producer;
  }

  /** The client would say so too, and quote the connection string, which is a secret. */
  #refuseOther(hub: string): void {
    if (this.#credential !== null) return;
    const { eventHubName } = parseEventHubConnectionString(this.#connectionString);
    if (eventHubName === undefined || eventHubName.toLowerCase() === hub.toLowerCase()) return;
    throw new TransportError(
      "rejected",
      `The connection string is that of the hub ${eventHubName} (EntityPath): it is of no use for the hub ${hub}.`,
      { advice: "Use one of a policy of the namespace." },
    );
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

  /** The commands that make a hub, and a consumer group of it: that takes Azure Resource Manager. */
  howToMake(hub: string, consumerGroup = "$Default"): string {
    const where = `--resource-group <group> --namespace-name ${this.where.split(".")[0]}`;
    const made = `az eventhubs eventhub create ${where} --name ${hub} --partition-count 4 --cleanup-policy Delete --retention-time-in-hours 168`;
    if (consumerGroup === "$Default") return made;
    return `${made}; az eventhubs eventhub consumer-group create ${where} --eventhub-name ${hub} --name ${consumerGroup}`;
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#producers.values()].map((producer) => producer.close()));
    this.#producers.clear();
  }
}

/** `doing`: as in "While <doing>". */
export function eventHubsError(
  doing: string,
  link: EventHubsLink,
  error: unknown,
  { hub, consumerGroup }: { hub: string; consumerGroup?: string },
): TransportError {
  if (error instanceof TransportError) return error;
  const { code = "", message, name } = lastOf(error);
  const said = `While ${doing} at Event Hubs ${link.where}: ${message.split("\n")[0] || name}`;
  const advice = isMissing(error) ? missingAdvice(link, hub, consumerGroup) : ADVICE[code];
  if (advice !== undefined) return new TransportError("rejected", said, { cause: error, advice });
  return new TransportError("unavailable", said, { cause: error, advice: "It is waited for." });
}

export function isMissing(error: unknown): boolean {
  return lastOf(error).code === "MessagingEntityNotFoundError";
}

export function missingAdvice(link: EventHubsLink, hub: string, consumerGroup?: string): string {
  const commands = link.howToMake(hub, consumerGroup);
  return `dstream cannot make hubs and consumer groups. Look at their names, or make what is missing: ${commands}`;
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
  ArgumentOutOfRangeError: "Look at the hub's partitions.",
};

function notOurs(error: unknown): TransportError {
  return new TransportError("rejected", `The connection string is none of Event Hubs: ${(error as Error).message}`, {
    cause: error,
    advice:
      "Copy it from the namespace (Shared access policies), or write <namespace>.servicebus.windows.net to sign in with a managed identity.",
  });
}
