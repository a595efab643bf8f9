/** Random schedules of commits, faults, kills and lost locks over two processes; fast-check prints the seed of a failure. */
import { test } from "node:test";
import fc from "fast-check";
import { SourceError, TransportError } from "../../src/errors.ts";
import { type Fault, Host, World } from "./world.ts";

const TABLES = ["A", "B", "C"];
const SETTINGS = {
  maxBatchRows: 3,
  onOversize: "dead_letter" as const,
  maxInFlightBytes: 5_000,
  timings: { sharingMs: 2_000, quietCheckpointMs: 15_000 },
};

const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("commit" as const),
      tables: fc.array(fc.constantFrom(...TABLES), { maxLength: 5 }),
      /** Of each body; the large ones are above what the queue takes. */
      bytes: fc.constantFrom(100, 100, 100, 1_000, 3_000),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 20_000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("kill" as const), host: fc.integer({ min: 0, max: 1 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("stop" as const), host: fc.integer({ min: 0, max: 1 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("lose" as const),
      host: fc.integer({ min: 0, max: 1 }),
      table: fc.constantFrom(...TABLES),
    }),
  },
);

/** What the next calls suffer, one number each; nothing once they are used up. */
const troubles = fc.array(fc.integer({ min: 0, max: 19 }), { maxLength: 400 });

function suffering(world: World, numbers: number[]): Fault {
  return (_, name) => {
    const trouble = numbers.shift() ?? 19;
    const queue = name.startsWith("sender") || name.startsWith("transport");
    if (trouble === 0)
      return queue ? new TransportError("unavailable", "down") : new SourceError("unavailable", "down");
    if (trouble === 1) return "die";
    if (trouble < 5) return new Promise((resolve) => world.clock.at(world.clock.now() + trouble * 1_500, resolve));
    return undefined;
  };
}

test("whatever happens to two processes, everything arrives, in order, and repeats keep their ids", async () => {
  const property = fc.asyncProperty(
    fc.array(action, { minLength: 5, maxLength: 30 }),
    troubles,
    async (actions, numbers) => {
      const world = new World(TABLES);
      world.limits = { maxMessageBytes: 2_000, maxSendBytes: 4_000 };
      const fault = suffering(world, [...numbers]);
      const start = () => {
        const host = new Host(world, fault);
        return { host, end: host.start(SETTINGS) };
      };
      const hosts = [start(), start()];
      const all = [...hosts];
      const replace = (index: number) => {
        hosts[index] = start();
        all.push(hosts[index]);
      };
      for (const each of actions) {
        if (each.do === "commit") world.commit(each.tables, each.bytes);
        else if (each.do === "wait") await world.clock.advance(each.ms);
        else {
          const { host } = hosts[each.host]!;
          if (each.do === "lose") host.loseLock(each.table);
          if (each.do === "kill") host.die();
          if (each.do === "stop") host.stop.abort();
          if (each.do !== "lose") replace(each.host);
        }
        for (const index of [0, 1]) if (hosts[index]!.host.dead) replace(index);
      }
      numbers.length = 0;
      await world.clock.advance(30_000);
      for (const index of [0, 1]) if (hosts[index]!.host.dead) replace(index);
      await world.clock.until(() => world.complete);
      await world.clock.advance(20_000);
      world.verify();
      for (const { host } of all) host.stop.abort();
      await world.clock.advance(10_000);
      await Promise.all(all.filter(({ host }) => !host.dead).map(({ end }) => end));
    },
  );
  await fc.assert(property, { numRuns: 150 });
});
