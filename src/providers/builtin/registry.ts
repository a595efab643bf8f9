/** The providers that dstream brings, by the name that a task gives them. Each is loaded when it is started. */
import { closest } from "../../text/closest.ts";
import { type BrokerType, brokerSettings } from "../../transports/settings.ts";
import { ProviderError } from "../process.ts";
import { runInput } from "../sdk/input.ts";
import { runOutput } from "../sdk/output.ts";

const outputsOfTheirOwn = {
  console: async () => runOutput((await import("./console.ts")).console),
  log: async () => runOutput((await import("./log.ts")).log),
  file: async () => runOutput((await import("./file.ts")).file),
  webhook: async () => runOutput((await import("./webhook.ts")).webhook),
};

const transports = ["embedded", ...Object.keys(brokerSettings)] as (BrokerType | "embedded")[];

/** Start a provider in this process, which exits with it. `mssql` has a command of its own. */
export const builtInProviders: Readonly<Record<string, () => Promise<unknown>>> = {
  counter: async () => runInput((await import("./counter.ts")).counter),
  ...outputsOfTheirOwn,
  ...Object.fromEntries(
    transports.map((type) => [type, async () => runOutput((await import("./transport.ts")).transportOutput(type))]),
  ),
};

const inputs = ["mssql", "counter"];
const outputs = [...Object.keys(outputsOfTheirOwn), ...transports];

/** Throws ProviderError where a task's `provider` is none. */
export function checkBuiltIn(role: "input" | "output", name: string): void {
  const known = role === "input" ? inputs : outputs;
  if (known.includes(name)) return;
  const other = (role === "input" ? outputs : inputs).includes(name);
  const meant = closest(name, known);
  throw new ProviderError(`provider = "${name}" is ${other ? `no ${role} provider` : "none that dstream brings"}.`, {
    advice: meant ? `Did you mean "${meant}"?` : `As an ${role} there are ${known.join(", ")}.`,
    worthRestarting: false,
  });
}
