/**
 * `dstream provider mssql`: SQL Server's changes over standard output. The configuration comes on standard input; nothing but data, and
 * the handshake where a command envelope asks for it, goes to standard output; the log to standard error, each line with [MSSQL-CDC].
 */
import { explainError } from "../errors.ts";
import { acknowledgements } from "../providers/acknowledgements.ts";
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
    const message = explainError(error);
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
  let failed = false;
  output.ended.addEventListener("abort", () => {
    logger.info("the reader of standard output has gone: ending");
    ending.abort();
  });
  if (input.acks)
    void acknowledgements(input.lines, output, (error) => {
      if (error) logger.error({ error }, "the acknowledgements have failed: ending");
      else logger.info("standard input has ended: ending");
      failed = error !== undefined;
      ending.abort();
    });
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
  return failed ? 1 : code;
}
