/** Writes the documentation that is made from code: `npm run docs`. */
import { mkdir, writeFile } from "node:fs/promises";
import { configurationReference } from "./reference.ts";

const file = new URL("../../docs/configuration.md", import.meta.url);
await mkdir(new URL(".", file), { recursive: true });
await writeFile(file, configurationReference());
