/** What the contract's tests, and their other processes, take of a receiver and hold. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Delivery, Receiver } from "../../src/transports/transport.ts";

/** So many deliveries, held. */
export async function take(receiver: Receiver, count: number): Promise<Delivery[]> {
  const taken: Delivery[] = [];
  const stop = new AbortController();
  for await (const delivery of receiver.deliveries(stop.signal)) {
    taken.push(delivery);
    if (taken.length === count) stop.abort();
  }
  return taken;
}

/** One delivery of so many messages, held. What comes in parts, as the network likes it, is given back until it comes whole. */
export async function takeWhole(receiver: Receiver, messages: number): Promise<Delivery> {
  for (;;) {
    const [delivery] = await take(receiver, 1);
    if (delivery!.messages.length >= messages) return delivery!;
    await delivery!.abandon();
    await sleep(20);
  }
}
