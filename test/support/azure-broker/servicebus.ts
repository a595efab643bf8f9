/**
 * Service Bus over the common wire: sending, sessions and locks, settlement, `$management`.
 * https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response
 */
import { randomBytes } from "node:crypto";
import rhea, { type EventContext, type Message, type Sender } from "rhea";
import { type Condition, closeLink, type Outgoing, openLink, refuseLink, type Service, settle } from "./amqp.ts";
import type { Consumer, Entity, Held } from "./entity.ts";
import type { Namespace } from "./namespace.ts";

const SESSION_FILTER = "com.microsoft:session-filter";
/** The .NET epoch in ms; ticks are 100 ns from there. */
const DOTNET_EPOCH_MS = -62_135_596_800_000;
/** How long a link waits for a session where the client does not say. */
const SESSION_WAIT_MS = 60_000;

export class ServiceBus implements Service {
  readonly #namespace: Namespace;
  readonly #maxBytes: number;
  /** Sends to refuse, for want of capacity. */
  busy = 0;

  constructor(namespace: Namespace, maxBytes: number) {
    this.#namespace = namespace;
    this.#maxBytes = maxBytes;
  }

  openForSending(address: string): number | Condition {
    const row = this.#namespace.row(address);
    return row === undefined ? notFound(address) : this.#maxBytes;
  }

  accept(address: string, messages: readonly Buffer[]): Condition | null {
    if (this.busy > 0) {
      this.busy--;
      return [
        "com.microsoft:server-busy",
        "The request was terminated because the namespace is being throttled. Please wait 10 seconds and try again.",
      ];
    }
    const bytes = messages.reduce((sum, raw) => sum + raw.length, 0);
    if (bytes > this.#maxBytes)
      return [
        "amqp:link:message-size-exceeded",
        `The received message (size: ${bytes}) exceeds the limit (${this.#maxBytes}) currently allowed on the link.`,
      ];
    return this.#namespace.send(
      address,
      messages.map((raw) => {
        const { group_id, message_id } = rhea.message.decode(raw) as unknown as Message;
        return { raw, session: group_id ?? null, messageId: message_id === undefined ? null : String(message_id) };
      }),
    );
  }

  openForReceiving(address: string, link: Sender): void {
    const entity = this.#namespace.receivable(address);
    if (entity === undefined) return void refuseLink(link, notFound(address));
    const { filter } = link.source as unknown as { filter?: Record<string, unknown> };
    const wantsSession = filter !== undefined && filter !== null && SESSION_FILTER in filter;
    if (wantsSession !== entity.settings.sessions) {
      const needs = entity.settings.sessions
        ? "requires sessions: open it with a session receiver"
        : "does not support sessions";
      return void refuseLink(link, ["amqp:not-allowed", `The messaging entity '${address}' ${needs}.`]);
    }
    const receiving = new Receiving(entity, link);
    if (!wantsSession) {
      openLink(link);
      entity.attach(receiving);
      return;
    }
    const given = filter[SESSION_FILTER];
    const session =
      given === null || given === undefined ? undefined : String((given as { value?: unknown }).value ?? given);
    const properties = (link as unknown as { remote: { attach: { properties?: Record<string, unknown> } } }).remote
      .attach.properties;
    const waitMs = Math.min(Number(properties?.["com.microsoft:timeout"] ?? SESSION_WAIT_MS), SESSION_WAIT_MS);
    const timer = setTimeout(() => {
      if (!entity.isWaiting(receiving)) return;
      entity.detach(receiving);
      refuseLink(link, ["com.microsoft:timeout", "The operation did not complete within the allotted timeout."]);
    }, waitMs);
    entity.attachSession(session, receiving, (id, until) => {
      clearTimeout(timer);
      openLink(link, {
        filter: { [SESSION_FILTER]: id },
        properties: { "com.microsoft:locked-until-utc": rhea.types.wrap_long(ticks(until)) },
      });
    });
  }

  answer(address: string, request: Message): ReturnType<Service["answer"]> {
    const operation = String((request.application_properties as Record<string, unknown>)["operation"]);
    const entity = this.#namespace.receivable(address);
    if (entity === undefined)
      return failed(404, "amqp:not-found", `The messaging entity '${address}' could not be found.`);
    const body = request.body as Record<string, unknown>;
    switch (operation) {
      case "com.microsoft:renew-session-lock": {
        const until = entity.renewSession(String(body["session-id"]));
        if (until === null) return failed(410, "com.microsoft:session-lock-lost", "The session lock has expired.");
        return { status: 200, description: "OK", body: { expiration: rhea.types.wrap_timestamp(until) } };
      }
      case "com.microsoft:peek-message": {
        const from = Number(body["from-sequence-number"]);
        const found = entity.peek(from, Number(body["message-count"]));
        if (found.length === 0) return { status: 204, description: "No Content" };
        const messages = found.map((held) => ({ message: rhea.message.encode(dressed(held)) }));
        return { status: 200, description: "OK", body: { messages } };
      }
      default:
        return failed(501, "amqp:not-implemented", `This broker does not know ${operation}.`);
    }
  }
}

/** A client's link, as the entity sees it. */
class Receiving implements Consumer {
  readonly #entity: Entity;
  readonly #link: Sender;
  readonly #out = new Map<unknown, Held>();

  constructor(entity: Entity, link: Sender) {
    this.#entity = entity;
    this.#link = link;
    const pump = () => entity.pump();
    link.on("sender_flow", pump);
    link.on("sendable", pump);
    link.on("sender_draining", () => {
      entity.pump();
      link.set_drained(true);
    });
    link.on("accepted", (context) => this.#settled(context, (held) => entity.complete(this, held)));
    link.on("modified", (context) => this.#settled(context, (held) => entity.abandon(this, held)));
    link.on("released", (context) => this.#settled(context, (held) => entity.abandon(this, held)));
    link.on("rejected", (context) => {
      const { error } = (
        context.delivery as unknown as {
          remote_state: { error?: { info?: Record<string, unknown>; condition?: string } };
        }
      ).remote_state;
      const text = (name: string) => (error?.info?.[name] === undefined ? null : String(error.info[name]));
      this.#settled(context, (held) =>
        entity.deadLetter(this, held, text("DeadLetterReason"), text("DeadLetterErrorDescription")),
      );
    });
    for (const event of ["sender_close", "session_close"]) link.on(event, () => entity.detach(this));
    link.session.on("session_close", () => entity.detach(this));
    link.connection.on("disconnected", () => entity.detach(this));
    link.connection.on("connection_close", () => entity.detach(this));
  }

  credit(): number {
    const { outgoing } = this.#link.session as unknown as {
      outgoing: { next_delivery_id: number; next_pending_delivery: number };
    };
    return (
      (this.#link as unknown as { credit: number }).credit -
      (outgoing.next_delivery_id - outgoing.next_pending_delivery)
    );
  }

  deliver(held: Held): void {
    // A delivery's tag is its lock token: a GUID.
    const delivery = this.#link.send(dressed(held) as never, randomBytes(16) as never);
    this.#out.set(delivery, held);
  }

  sessionLost(): void {
    closeLink(this.#link, [
      "com.microsoft:session-lock-lost",
      "The session lock has expired on the MessageSession. Accept a new MessageSession.",
    ]);
  }

  #settled({ delivery }: EventContext, work: (held: Held) => boolean): void {
    const held = this.#out.get(delivery);
    if (held === undefined) return;
    this.#out.delete(delivery);
    const lost: Condition = this.#entity.settings.sessions
      ? ["com.microsoft:session-lock-lost", "The session lock was lost. Request a new session receiver."]
      : [
          "com.microsoft:message-lock-lost",
          "The lock supplied is invalid. Either the lock expired, or the message has already been removed.",
        ];
    settle(delivery as unknown as Outgoing, work(held) ? null : lost);
  }
}

/** As the broker hands it out: with what it knows of it. */
function dressed({ raw, seq, deliveries, enqueued, lock, reason, description }: Held): Message {
  const message = rhea.message.decode(raw) as unknown as Message;
  message.delivery_count = deliveries;
  message.message_annotations = {
    ...message.message_annotations,
    "x-opt-sequence-number": rhea.types.wrap_long(seq),
    "x-opt-enqueued-time": rhea.types.wrap_timestamp(enqueued),
    ...(lock !== null && { "x-opt-locked-until": rhea.types.wrap_timestamp(lock.until) }),
  } as never;
  if (reason !== null || description !== null) {
    message.application_properties = {
      ...message.application_properties,
      ...(reason !== null && { DeadLetterReason: reason }),
      ...(description !== null && { DeadLetterErrorDescription: description }),
    };
  }
  return message;
}

function ticks(ms: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(ms - DOTNET_EPOCH_MS) * 10_000n);
  return bytes;
}

function notFound(address: string): Condition {
  return ["amqp:not-found", `The messaging entity '${address}' could not be found.`];
}

function failed(status: number, condition: string, description: string): ReturnType<Service["answer"]> {
  return { status, description, properties: { errorCondition: condition } };
}
