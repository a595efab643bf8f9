/** Runs a benchmark: `npm run bench -- simulator`. What a benchmark takes besides is at the top of its file. */
const BENCHMARKS: Record<string, () => Promise<{ run(args: string[]): Promise<void> }>> = {
  simulator: () => import("./simulator.ts"),
  reader: () => import("./reader.ts"),
  pipeline: () => import("./pipeline.ts"),
  transports: () => import("./transports.ts"),
  relay: () => import("./relay.ts"),
  idle: () => import("./idle.ts"),
  failover: () => import("./failover.ts"),
};

const [name, ...args] = process.argv.slice(2);
const benchmark = BENCHMARKS[name ?? ""];
if (!benchmark) {
  console.error(`Name one of the benchmarks: ${Object.keys(BENCHMARKS).join(", ")}.`);
  process.exit(1);
}
await (await benchmark()).run(args);
