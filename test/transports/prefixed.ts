/** A corner of a broker for one test: its entities' names begin with what no other's do. */
import type { Entity, Transport } from "../../src/transports/transport.ts";

const TAKE_AN_ENTITY = new Set(["ensure", "exists", "remove", "sender", "receiver", "inspect", "deadLetters"]);

export function prefixed(transport: Transport, prefix: string): Transport {
  return new Proxy(transport, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== "function") return value;
      if (!TAKE_AN_ENTITY.has(String(name))) return value.bind(target) as unknown;
      return (entity: Entity) => value.call(target, { ...entity, name: `${prefix}${entity.name}` }) as unknown;
    },
  });
}
