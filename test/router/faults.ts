/** A transport that fails or falls silent where a test says so, in front of a real one. */
import type { Message } from "../../src/change/message.ts";
import type { Delivery, Transport } from "../../src/transports/transport.ts";

/**
 * Stands before and after every call that crosses a contract. What it throws, the caller of the transport sees; while it does not
 * resolve, the caller waits: as if its process had been killed there.
 */
export type Gate = (call: string, when: "before" | "after", messages: readonly Message[]) => Promise<void>;

export function gated(inner: Transport, gate: Gate): Transport {
  const through = async <T>(call: string, messages: readonly Message[], work: () => Promise<T>): Promise<T> => {
    await gate(call, "before", messages);
    const answer = await work();
    await gate(call, "after", messages);
    return answer;
  };
  const delivery = (one: Delivery): Delivery => ({
    key: one.key,
    messages: one.messages,
    complete: () => through("complete", one.messages, () => one.complete()),
    abandon: () => through("abandon", one.messages, () => one.abandon()),
    deadLetter: (message, reason) => through("deadLetter", [message], () => one.deadLetter(message, reason)),
  });
  return {
    type: inner.type,
    limits: inner.limits,
    traits: inner.traits,
    ...(inner.ended === undefined ? {} : { ended: inner.ended }),
    ensure: (entity) => through(`ensure ${entity.name}`, [], () => inner.ensure(entity)),
    exists: (entity) => inner.exists(entity),
    sender: async (entity) => {
      const sender = await through(`sender ${entity.name}`, [], () => inner.sender(entity));
      return {
        send: (messages) => through(`send ${entity.name}`, messages, () => sender.send(messages)),
        close: () => sender.close(),
      };
    },
    receiver: async (entity) => {
      const receiver = await through("receiver", [], () => inner.receiver(entity));
      return {
        deliveries: async function* (signal) {
          for await (const one of receiver.deliveries(signal)) {
            await gate("delivery", "after", one.messages);
            yield delivery(one);
          }
        },
        close: () => receiver.close(),
      };
    },
    close: () => inner.close(),
  };
}
