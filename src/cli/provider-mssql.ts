/**
 * `dstream provider mssql`: SQL Server's changes over standard output. The configuration comes on standard input; nothing but data, and
 * the handshake where a command envelope asks for it, goes to standard output; the log to standard error, each line with [MSSQL-CDC].
 */
import { DStreamError, describeError } from "../errors.ts";
import { type ProviderInput, ProviderInputError, readInput } from "../providers/input.ts";
import { type ProviderConfig, providerConfig } from "../providers/mssql/config.ts";
import { ProviderTransport } from "../providers/mssql/transport.ts";
import { LineOutput, standardOutput } from "../providers/output.ts";
import { createLogger, type Logger } from "../telemetry/logger.ts";
import { runUntilSignal } from "./lifecycle.ts";
import { makeProviderIngester, targetOf } from "./wiring.ts";

const PREFIX = "[MSSQL-CDC]";

export async function providerMssql(): Promise<number> {
  const out = standardOutput();
  let input: ProviderInput | undefined;
  try {
    input = await readInput(process.stdin);
    if (input.command !== null && input.command !== "run") {
      throw new ProviderInputError(`The command "${input.command}" is none of an input provider.`, {
        advice: 'It takes "run".',
      });
    }
    const { config, output } = providerConfig(input.config, process.env);
    const logger = createLogger(config.log.level, config.log.format === "json" ? "json" : "pretty", PREFIX);
    return await run(input, { config, output }, out, logger);
  } catch (error) {
    const advice = error instanceof DStreamError && error.advice ? `\n${error.advice}` : "";
    const message = describeError(error) + advice;
    for (const line of message.split("\n")) process.stderr.write(`${PREFIX} ERROR: ${line}\n`);
    if (input?.command !== undefined && input.command !== null)
      await new Promise<void>((resolve) =>
        out.write(`${JSON.stringify({ status: "error", message })}\n`, () => resolve()),
      );
    return 1;
  }
}

async function run(
  input: ProviderInput,
  { config, output: format }: ProviderConfig,
  out: ReturnType<typeof standardOutput>,
  logger: Logger,
): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const output = new LineOutput(out, { acks: input.acks });
  const server = targetOf(config).hosts[0]!.server;
  const transport = new ProviderTransport(output, format, server);
  logger.info({ tables: config.ingester.tables.length, acks: input.acks }, "the configuration is loaded");
  if (input.command === null || !input.acks)
    logger.info(
      "no acknowledgements: a checkpoint moves once its line is in the pipe, and what the reader loses behind it is lost",
    );
  const ending = new AbortController();
  output.ended.addEventListener("abort", () => {
    logger.info("the reader of standard output has gone: ending");
    ending.abort();
  });
  const reading = input.acks ? acknowledge(input, output, ending, logger) : Promise.resolve();
  const code = await runUntilSignal(
    [
      async (signal) => {
        const both = AbortSignal.any([signal, ending.signal]);
        const ingester = await makeProviderIngester(config, transport, format, { logger, signal: both }, stack);
        if (input.command !== null)
          await output.handshake(`${JSON.stringify({ status: "ready", acks: input.acks })}\n`);
        try {
          await ingester.run(both);
        } catch (error) {
          if (!ending.signal.aborted) throw error;
        }
      },
    ],
    logger,
  );
  void reading;
  return code;
}

/** The end of standard input is the end of whoever acknowledges. */
async function acknowledge(
  { lines }: ProviderInput,
  output: LineOutput,
  ending: AbortController,
  logger: Logger,
): Promise<void> {
  try {
    for await (const line of lines) {
      if (line.trim() === "") continue;
      const { acked } = JSON.parse(line) as { acked?: unknown };
      if (typeof acked !== "number") throw new Error(`it is not {"acked":<lines>}`);
      output.acknowledge(acked);
    }
    logger.info("standard input has ended: ending");
  } catch (error) {
    logger.error({ error }, "what came on standard input is no acknowledgement: ending");
  }
  ending.abort();
}
