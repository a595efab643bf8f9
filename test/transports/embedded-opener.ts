import { type EmbeddedOptions, EmbeddedTransport } from "../../src/transports/embedded/transport.ts";

export const open = (options: EmbeddedOptions) => EmbeddedTransport.open(options);
