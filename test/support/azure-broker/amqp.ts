/**
 * What Azure's messaging services have in common on the wire: AMQP 1.0 with claims-based security (`$cbs`), links that are opened when
 * the broker is ready to, messages in batches, and answers to questions on `$management`.
 * https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide
 */
import type { Server } from "node:net";
import rhea, { type Connection, type EventContext, type Message, type Receiver, type Sender } from "rhea";

/** Several messages in one transfer: the data sections of its body are messages (protocol guide, "batched messages"). */
const BATCH_FORMAT = 0x80013700;

export type Condition = readonly [condition: string, description: string];

export interface Service {
  /** Why a token for an address (`$cbs`, put-token) is refused, or null; where it is missing, each is taken. */
  authorize?(audience: string, token: string): Condition | null;
  /** The largest transfer that the entity takes, in bytes; or why it cannot be sent to. */
  openForSending(address: string, link: Receiver): number | Condition;
  /** Encoded messages, accepted as a whole; or why they are refused. */
  accept(address: string, messages: readonly Buffer[], link: Receiver): Condition | null;
  /** Opens the link itself, now or later, with `openLink` or `refuseLink`. */
  openForReceiving(address: string, link: Sender): void;
  /** To a question on `<address>/$management`; Event Hubs is asked on `$management` alone. */
  answer(
    address: string,
    request: Message,
  ): { status: number; description: string; body?: unknown; properties?: Record<string, unknown> };
}

export class AmqpServer {
  readonly #service: Service;
  readonly #connections = new Set<Connection>();
  readonly #addresses = new WeakMap<object, string>();

  constructor(service: Service) {
    this.#service = service;
  }

  listen(port: number): Promise<Server> {
    const container = rhea.create_container({
      id: "azure-broker",
      receiver_options: { autoaccept: false, autosettle: false, credit_window: 500 },
      sender_options: { autosettle: false, treat_modified_as_released: false },
      idle_time_out: 60_000,
    } as never);
    container.on("connection_open", ({ connection }) => void this.#connections.add(connection));
    for (const event of ["disconnected", "connection_close"])
      container.on(event, ({ connection }: EventContext) => void this.#connections.delete(connection));
    container.on("receiver_open", (context) => this.#clientSends(context.receiver!));
    container.on("sender_open", (context) => this.#clientReceives(context.sender!));
    container.on("message", (context) => this.#received(context));
    // Rude goodbyes are the clients' business.
    for (const event of [
      "connection_error",
      "session_error",
      "sender_error",
      "receiver_error",
      "error",
      "protocol_error",
    ])
      container.on(event, () => {});
    const server = container.listen({ port, host: "127.0.0.1", tcp_no_delay: true } as never) as Server;
    return new Promise((resolve) => server.once("listening", () => resolve(server)));
  }

  /** As when the network fails. */
  dropConnections(): void {
    for (const connection of this.#connections)
      (connection as unknown as { socket: { destroy(): void } }).socket.destroy();
  }

  #clientSends(link: Receiver): void {
    const address = link.target?.address ?? "";
    this.#addresses.set(link, address);
    link.set_target({ address } as never);
    link.set_source((link as unknown as { remote: { attach: { source: never } } }).remote.attach.source);
    if (address === "$cbs" || isManagement(address)) return;
    const opened = this.#service.openForSending(address, link);
    if (typeof opened === "number") setAttach(link, { max_message_size: opened });
    else refuseLink(link, opened);
  }

  #clientReceives(link: Sender): void {
    const address = link.source?.address ?? "";
    this.#addresses.set(link, address);
    if (address === "$cbs" || isManagement(address)) {
      openLink(link);
      return;
    }
    // The answer waits until the service gives it.
    (link as unknown as { state: { open_requests: number } }).state.open_requests = 0;
    this.#service.openForReceiving(address, link);
  }

  #received({ receiver, message, delivery, connection }: EventContext): void {
    const address = this.#addresses.get(receiver!) ?? "";
    if (address === "$cbs") {
      accept(delivery);
      const { name } = message!.application_properties as { name: string };
      const refused = this.#service.authorize?.(name, String(message!.body)) ?? null;
      const [status, said] = refused === null ? [202, "Accepted"] : [STATUS[refused[0]] ?? 500, refused[1]];
      this.#reply(connection, "$cbs", message!, { "status-code": status, "status-description": said });
      return;
    }
    if (isManagement(address)) {
      accept(delivery);
      const { status, description, body, properties } = this.#service.answer(
        address.replace(/\/?\$management$/, ""),
        message!,
      );
      // Service Bus names them one way, Event Hubs the other.
      const told = {
        statusCode: status,
        statusDescription: description,
        "status-code": status,
        "status-description": description,
      };
      this.#reply(connection, address, message!, { ...told, ...properties }, body);
      return;
    }
    // rhea decodes what has the common format.
    const batched = (delivery as unknown as { format: number }).format === BATCH_FORMAT;
    const messages = batched ? partsOf(message as unknown as Buffer) : [rhea.message.encode(message!)];
    const refused = this.#service.accept(address, messages, receiver!);
    if (refused === null) accept(delivery);
    else reject(delivery, refused);
  }

  #reply(
    connection: Connection,
    from: string,
    request: Message,
    properties: Record<string, unknown>,
    body: unknown = {},
  ): void {
    let link: Sender | undefined;
    (connection as unknown as { each_sender(each: (sender: Sender) => void): void }).each_sender((sender: Sender) => {
      if (this.#addresses.get(sender) !== from) return;
      const to = (sender as unknown as { remote: { attach: { target?: { address?: string } } } }).remote.attach.target
        ?.address;
      if (link === undefined || to === request.reply_to) link = sender;
    });
    link?.send({
      to: request.reply_to,
      correlation_id: request.message_id,
      application_properties: properties,
      body,
    } as never);
  }
}

const STATUS: Readonly<Record<string, number>> = { "amqp:not-found": 404, "amqp:unauthorized-access": 401 };

function isManagement(address: string): boolean {
  return /(^|\/)\$management$/.test(address);
}

/** Answers a link that waits for it. `source` and `properties` as the broker's side has them. */
export function openLink(
  link: Sender,
  more: { filter?: Record<string, unknown>; properties?: Record<string, unknown> } = {},
): void {
  const remote = (link as unknown as { remote: { attach: { source: { address: string }; target: never } } }).remote
    .attach;
  link.set_source({ address: remote.source.address, ...(more.filter && { filter: more.filter }) } as never);
  link.set_target(remote.target);
  if (more.properties !== undefined) setAttach(link, { properties: more.properties });
  openNow(link);
}

/** Attaches, and detaches with an error, as AMQP 1.0 has it. */
export function refuseLink(link: Sender | Receiver, [condition, description]: Condition): void {
  openNow(link);
  link.close({ condition, description } as never);
}

export function closeLink(link: Sender | Receiver, [condition, description]: Condition): void {
  link.close({ condition, description } as never);
}

export interface Outgoing {
  update(settled: boolean, state?: unknown): void;
  remote_settled: boolean;
}

/** Ends a delivery as the client wants, or with a refusal. The SDK takes any error in the outcome for a refusal, its own included. */
export function settle(delivery: Outgoing, refused: Condition | null): void {
  if (refused === null) accept(delivery);
  else reject(delivery, refused);
  // A client that settles second does not say so again, and rhea would keep the delivery.
  setImmediate(() => {
    delivery.remote_settled = true;
  });
}

const { message: outcomes } = rhea as unknown as {
  message: { accepted(): { described(): unknown }; rejected(fields: unknown): { described(): unknown } };
};

/** Both settle what a client has sent. */
function accept(delivery: unknown): void {
  (delivery as Outgoing).update(true, outcomes.accepted().described());
}

function reject(delivery: unknown, [condition, description]: Condition): void {
  (delivery as Outgoing).update(true, outcomes.rejected({ error: { condition, description } }).described());
}

function openNow(link: Sender | Receiver): void {
  const { state, connection } = link as unknown as {
    state: { local_open: boolean; open_requests: number };
    connection: { _register(): void };
  };
  state.local_open = true;
  state.open_requests = 1;
  connection._register();
}

function setAttach(link: Sender | Receiver, fields: Record<string, unknown>): void {
  Object.assign((link as unknown as { local: { attach: object } }).local.attach, fields);
}

function partsOf(batch: Buffer): Buffer[] {
  const { content } = rhea.message.decode(batch).body as { content: Buffer | Buffer[] };
  return Array.isArray(content) ? content : [content];
}
