import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { EmbeddedOptions } from "../../src/transports/embedded/transport.ts";
import { transportContract } from "./contract.ts";
import { open } from "./embedded-opener.ts";

const root = await mkdtemp(join(tmpdir(), "dstream-embedded-"));
after(() => rm(root, { recursive: true, force: true }));
let places = 0;

transportContract({
  name: "embedded",
  smallMessages: true,
  place: async (lease) => {
    const path = join(root, `${++places}`, "queue.db");
    const options: EmbeddedOptions = {
      path,
      leaseMs: lease === "short" ? 1_000 : 20_000,
      maxMessageBytes: 1024 * 1024,
    };
    return { module: join(import.meta.dirname, "embedded-opener.ts"), options };
  },
  open: (options) => open(options as EmbeddedOptions),
});
