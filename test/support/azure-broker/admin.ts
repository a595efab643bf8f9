/**
 * The administration API: entities as Atom entries over HTTP.
 * https://learn.microsoft.com/rest/api/servicebus/create-queue, …/entity-management-error-codes
 */
import { createServer, type Server } from "node:http";
import { durationMs, type Namespace } from "./namespace.ts";
import type { EntityRow } from "./store.ts";

const NEVER = "P10675199DT2H48M5.4775807S";

const DEFAULTS: Record<EntityRow["kind"], Record<string, string>> = {
  QueueDescription: {
    LockDuration: "PT1M",
    MaxSizeInMegabytes: "1024",
    RequiresDuplicateDetection: "false",
    RequiresSession: "false",
    DefaultMessageTimeToLive: NEVER,
    DeadLetteringOnMessageExpiration: "false",
    DuplicateDetectionHistoryTimeWindow: "PT10M",
    MaxDeliveryCount: "10",
    EnableBatchedOperations: "true",
    Status: "Active",
    AutoDeleteOnIdle: NEVER,
    EnablePartitioning: "false",
    EntityAvailabilityStatus: "Available",
    EnableExpress: "false",
  },
  TopicDescription: {
    DefaultMessageTimeToLive: NEVER,
    MaxSizeInMegabytes: "1024",
    RequiresDuplicateDetection: "false",
    DuplicateDetectionHistoryTimeWindow: "PT10M",
    EnableBatchedOperations: "true",
    Status: "Active",
    SupportOrdering: "true",
    AutoDeleteOnIdle: NEVER,
    EnablePartitioning: "false",
    EntityAvailabilityStatus: "Available",
    EnableExpress: "false",
  },
  SubscriptionDescription: {
    LockDuration: "PT1M",
    RequiresSession: "false",
    DefaultMessageTimeToLive: NEVER,
    DeadLetteringOnMessageExpiration: "false",
    DeadLetteringOnFilterEvaluationExceptions: "true",
    MaxDeliveryCount: "10",
    EnableBatchedOperations: "true",
    Status: "Active",
    AutoDeleteOnIdle: NEVER,
    EntityAvailabilityStatus: "Available",
  },
};

/** `control`: what tests ask of the broker besides. */
export function serveAdministration(namespace: Namespace, control: (what: URLSearchParams) => void): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const url = new URL(request.url!, "http://broker");
      const path = decodeURIComponent(url.pathname.slice(1));
      const body = Buffer.concat(chunks).toString();
      if (path === "$control") {
        control(url.searchParams);
        response.writeHead(204).end();
        return;
      }
      const [status, xml] = answer(namespace, request.method!, path, body);
      response.writeHead(status, { "content-type": "application/atom+xml;type=entry;charset=utf-8" }).end(xml);
    });
  });
}

function answer(namespace: Namespace, method: string, path: string, body: string): [number, string] {
  if (method === "DELETE") return namespace.remove(path) ? [200, ""] : failed(404, `Entity '${path}' was not found.`);
  const topic = /^(.*)\/Subscriptions\/?$/i.exec(path)?.[1];
  if (method === "GET" && topic !== undefined) {
    const entries = namespace.subscriptionsOf(topic).map(entry).join("");
    return [200, `<feed xmlns="http://www.w3.org/2005/Atom"><title type="text">Subscriptions</title>${entries}</feed>`];
  }
  if (method === "GET") {
    const row = namespace.row(path);
    return row === undefined ? failed(404, `Entity '${path}' was not found.`) : [200, entry(row)];
  }
  if (method !== "PUT") return failed(405, `${method} is not for this broker.`);
  const kind = /<(QueueDescription|TopicDescription|SubscriptionDescription)[\s>/]/.exec(body)?.[1] as
    | EntityRow["kind"]
    | undefined;
  if (kind === undefined) return failed(400, "The body is no description of an entity.");
  const parent = /^(.*)\/Subscriptions\/[^/]+$/i.exec(path)?.[1];
  if (kind === "SubscriptionDescription" && (parent === undefined || namespace.row(parent) === undefined))
    return failed(404, `Entity '${parent}' was not found.`);
  const given: Record<string, string> = {};
  for (const name of [...Object.keys(DEFAULTS[kind]), "MaxMessageSizeInKilobytes", "UserMetadata", "ForwardTo"]) {
    const value = new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1];
    if (value !== undefined) given[name] = value;
  }
  const wrong = limits(given);
  if (wrong !== undefined) return failed(400, wrong);
  const row = { path, kind, properties: { ...DEFAULTS[kind], ...given } };
  return namespace.create(row) ? [201, entry(row)] : failed(409, `The specified entity '${path}' already exists.`);
}

/** https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas, and the properties' own ranges. */
function limits(given: Record<string, string>): string | undefined {
  const lockMs = durationMs(given["LockDuration"] ?? "PT1M");
  if (lockMs < 5_000 || lockMs > 300_000) return "LockDuration: the value should be between 5 seconds and 5 minutes.";
  const window = durationMs(given["DuplicateDetectionHistoryTimeWindow"] ?? "PT10M");
  if (window < 20_000 || window > 7 * 86_400_000)
    return "DuplicateDetectionHistoryTimeWindow: between 20 seconds and 7 days.";
  const count = Number(given["MaxDeliveryCount"] ?? 10);
  if (!(count >= 1 && count <= 2000)) return "MaxDeliveryCount: between 1 and 2000.";
  return undefined;
}

function entry({ path, kind, properties }: EntityRow): string {
  const name = path.split("/").at(-1)!;
  const values = Object.entries(properties).map(([key, value]) => `<${key}>${escaped(value)}</${key}>`);
  return (
    `<entry xmlns="http://www.w3.org/2005/Atom"><id>https://broker/${encodeURI(path)}?api-version=2021-05</id>` +
    `<title type="text">${escaped(name)}</title><content type="application/xml">` +
    `<${kind} xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">${values.join("")}</${kind}></content></entry>`
  );
}

function failed(status: number, detail: string): [number, string] {
  return [status, `<Error><Code>${status}</Code><Detail>${escaped(detail)}</Detail></Error>`];
}

function escaped(text: string): string {
  return text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]!);
}
