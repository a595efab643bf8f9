import type { LineOutput } from "./output.ts";

/**
 * Takes acknowledgements, lines `{"acked":<lines>}`, until they end: with standard input, whose end is that of whoever acknowledges, or
 * with an error, where one is none.
 */
export async function acknowledgements(
  lines: AsyncIterable<string>,
  output: LineOutput,
  ended: (error?: unknown) => void,
): Promise<void> {
  try {
    for await (const line of lines) {
      if (line.trim() === "") continue;
      const { acked } = JSON.parse(line) as { acked?: unknown };
      if (typeof acked !== "number")
        throw new Error(`what came on standard input is no acknowledgement: {"acked":<lines>}`);
      output.acknowledge(acked);
    }
    ended();
  } catch (error) {
    ended(error);
  }
}
