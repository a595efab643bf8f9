/** `import … from "dstream/provider"`: what a provider in TypeScript is written with. docs/providers.md has examples. */
export { type InputProvider, runInput } from "./providers/sdk/input.ts";
export {
  type LifecycleCommand,
  type LineBatch,
  type Output,
  type OutputProvider,
  runOutput,
} from "./providers/sdk/output.ts";
export type { Context } from "./providers/sdk/provider.ts";
