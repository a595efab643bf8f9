/** How Service Bus is reached, and what its errors mean. */
import { DefaultAzureCredential } from "@azure/identity";
import { ServiceBusAdministrationClient, ServiceBusClient } from "@azure/service-bus";
import { TransportError } from "../../errors.ts";

export interface ServiceBusLink {
  client: ServiceBusClient;
  administration: ServiceBusAdministrationClient;
  /** The namespace, for errors. */
  where: string;
}

/** Who calls tries again, and is told meanwhile. */
const RETRY = { maxRetries: 1, retryDelayInMs: 500, timeoutInMs: 10_000 };

/** A connection string, or `<namespace>.servicebus.windows.net`: then a managed identity signs in. */
export function openLink(connectionString: string, administrationUrl: string | undefined): ServiceBusLink {
  const text = connectionString.trim();
  try {
    const link = clientsOf(text);
    if (administrationUrl !== undefined) redirect(link.administration, new URL(administrationUrl));
    return link;
  } catch (error) {
    throw new TransportError("rejected", `The connection string is none of Service Bus: ${(error as Error).message}`, {
      cause: error,
      advice:
        "Copy it from the namespace (Shared access policies), or write <namespace>.servicebus.windows.net to sign in with a managed identity.",
    });
  }
}

function clientsOf(text: string): ServiceBusLink {
  const options = { retryOptions: RETRY };
  if (/^[\w-]+(\.[\w-]+)+$/.test(text)) {
    const credential = new DefaultAzureCredential();
    return {
      client: new ServiceBusClient(text, credential, options),
      administration: new ServiceBusAdministrationClient(text, credential),
      where: text,
    };
  }
  const client = new ServiceBusClient(text, options);
  return {
    client,
    administration: new ServiceBusAdministrationClient(text),
    where: client.fullyQualifiedNamespace,
  };
}

/** The emulator's administration is at another address, without TLS. */
function redirect(administration: ServiceBusAdministrationClient, to: URL): void {
  administration.pipeline.addPolicy({
    name: "dstream-administration-url",
    sendRequest: (request, next) => {
      const url = new URL(request.url);
      url.protocol = to.protocol;
      url.host = to.host;
      request.url = url.href;
      request.allowInsecureConnection = to.protocol === "http:";
      return next(request);
    },
  });
}

/** `doing`: as in "While <doing>". */
export function serviceBusError(doing: string, where: string, error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  const { message, statusCode } = lastOf(error);
  const said = `While ${doing} at Service Bus ${where}: ${firstLine(message)}`;
  const advice = ADVICE[codeOf(error)] ?? ADVICE[String(statusCode ?? "")];
  if (advice !== undefined) return new TransportError("rejected", said, { cause: error, advice });
  return new TransportError("unavailable", said, { cause: error, advice: "It is waited for." });
}

/** What kind of error it is, by the client's names (ServiceBusErrorCode) or the administration's. */
export function codeOf(error: unknown): string {
  return lastOf(error).code ?? "";
}

/** Of several attempts, what the last one was told. */
function lastOf(error: unknown): { message: string; code?: string; statusCode?: number } {
  const { errors } = error as { errors?: unknown[] };
  return errors === undefined || errors.length === 0 ? (error as Error) : lastOf(errors.at(-1));
}

export function isMissing(error: unknown): boolean {
  const { statusCode } = error as { statusCode?: number };
  return statusCode === 404 || codeOf(error) === "MessageEntityNotFoundError";
}

export function isThere(error: unknown): boolean {
  const { statusCode } = error as { statusCode?: number };
  return statusCode === 409 || codeOf(error) === "MessageEntityAlreadyExistsError";
}

/** https://learn.microsoft.com/azure/service-bus-messaging/service-bus-messaging-exceptions-latest: those that waiting does not heal. */
const ADVICE: Readonly<Record<string, string>> = {
  MessagingEntityNotFound:
    "It is made when an ingester or a router that names it starts; look at its name and the namespace.",
  MessageEntityNotFoundError:
    "It is made when an ingester or a router that names it starts; look at its name and the namespace.",
  UnauthorizedAccess: "The policy needs Send and Listen, and Manage where entities are to be made.",
  "401": "The policy needs Manage to look for entities and make them (or the role Azure Service Bus Data Owner).",
  "403": "The policy needs Manage to look for entities and make them (or the role Azure Service Bus Data Owner).",
  MessagingEntityDisabled: "Enable the entity in the portal.",
  "400":
    "The namespace does not take what the entity is to be made with: look at the settings and the tier (Basic has no topics and sessions).",
};

function firstLine(message: string): string {
  return message.split("\n")[0]!.trim();
}
