/**
 * Breaks responses at random and holds what the reader makes of them against the reference: an error that says where, or the
 * identical result. As a program it goes on until it is stopped or finds a difference:
 *
 *     npm run fuzz -- [seed] [corruptions]
 */
import { MalformedResponse } from "../../../../src/sources/sqlserver/wire/malformed.ts";
import { difference, Reader, type Reading, referenceReading } from "../rows/change-table.ts";
import { Random } from "../rows/random.ts";
import { randomTable } from "../rows/random-tables.ts";
import { Broken } from "../rows/reference-values.ts";
import { packets } from "./token-writer.ts";

export interface Tally {
  /** The reader said where the response is broken. */
  refused: number;
  /** The end of the response never came. */
  unfinished: number;
  /** What is left is a response again, and was read as the reference reads it. */
  identical: number;
}

const PER_TABLE = 50;

/** Throws an Error that names the seed of the table and the number of the corruption for what is neither refused nor identical. */
export function fuzz(
  seed: number,
  corruptions: number,
  tally: Tally = { refused: 0, unfinished: 0, identical: 0 },
): Tally {
  for (let done = 0; done < corruptions; done += PER_TABLE)
    fuzzTable((seed + done) >>> 0, Math.min(PER_TABLE, corruptions - done), tally);
  return tally;
}

function fuzzTable(seed: number, corruptions: number, tally: Tally): void {
  const random = new Random(seed);
  const { plan, tokens } = randomTable(random, random.between(1, 8), random.below(5));
  const size = random.pick([64, 512, 4096, 32_767]);
  const reader = new Reader(plan);
  for (let number = 0; number < corruptions; number++) {
    const stream = random.chance(0.7)
      ? packets(corrupted(random, tokens), size)
      : corrupted(random, packets(tokens, size));
    const whole = outcome(() => reader.read([stream]));
    const inPieces = number % 2 === 0 ? outcome(() => reader.read(pieces(random, stream))) : whole;
    const expected = outcome(() => referenceReading(stream, plan));
    const problem =
      verdict(whole, expected, plan) ?? verdict(inPieces, expected, plan) ?? disagreement(whole, inPieces);
    if (problem !== null) throw new Error(`Seed ${seed}, corruption ${number}: ${problem}`);
    if (whole instanceof Error) tally.refused++;
    else if (whole === null) tally.unfinished++;
    else tally.identical++;
  }
}

type Outcome = Reading | Error | null;

function outcome(read: () => Reading | null): Outcome {
  try {
    return read();
  } catch (error) {
    return error as Error;
  }
}

/** Null: all is well. */
function verdict(actual: Outcome, expected: Outcome, plan: Reader["plan"]): string | null {
  if (expected instanceof Error && !(expected instanceof Broken)) return `the reference failed: ${expected.stack}`;
  if (actual === null || actual instanceof MalformedResponse) return null;
  if (actual instanceof Error) return `not an error that says where: ${actual.stack}`;
  if (expected === null) return "a result of a response that is not over";
  if (expected instanceof Error) return `a result where the reference says: expected ${expected.message}`;
  return difference(actual, expected, plan);
}

function disagreement(whole: Outcome, inPieces: Outcome): string | null {
  const kind = (one: Outcome) => (one === null ? "unfinished" : one instanceof Error ? "refused" : "read");
  return kind(whole) === kind(inPieces) ? null : `${kind(whole)} as a whole, ${kind(inPieces)} in pieces`;
}

export function pieces(random: Random, stream: Buffer): Buffer[] {
  const largest = random.pick([1, 10, 100, 1_000]);
  const result: Buffer[] = [];
  for (let at = 0; at < stream.length; ) {
    const length = random.between(1, largest);
    result.push(stream.subarray(at, at + length));
    at += length;
  }
  return result;
}

const BYTES = [0, 1, 2, 4, 8, 0x10, 0x7f, 0x80, 0xd1, 0xd2, 0xfd, 0xfe, 0xff];

export function corrupted(random: Random, original: Buffer): Buffer {
  let bytes: Buffer = Buffer.from(original);
  for (let times = random.pick([1, 1, 1, 2, 3]); times > 0 && bytes.length > 0; times--)
    bytes = corruptedOnce(random, bytes);
  return bytes;
}

function corruptedOnce(random: Random, bytes: Buffer): Buffer {
  const at = random.below(bytes.length);
  const part = bytes.subarray(at, at + random.between(1, random.pick([1, 4, 30, 200])));
  switch (random.below(8)) {
    case 0:
      bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1:
      bytes[at] = random.below(256);
      return bytes;
    case 2:
      bytes[at] = random.pick(BYTES);
      return bytes;
    case 3:
      bytes.subarray(at, at + random.pick([2, 4, 8])).fill(random.pick(BYTES));
      return bytes;
    case 4:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.between(1, 8)), bytes.subarray(at)]);
    case 5:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + part.length)]);
    case 6:
      return random.chance(0.3)
        ? bytes.subarray(0, at)
        : Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
    default: {
      const to = random.below(bytes.length);
      return Buffer.concat([bytes.subarray(0, to), part, bytes.subarray(to + (random.chance(0.5) ? part.length : 0))]);
    }
  }
}

if (import.meta.main) {
  const [seed = String(Date.now() % 2 ** 31), most = "Infinity"] = process.argv.slice(2);
  console.log(`seed ${seed}`);
  const tally: Tally = { refused: 0, unfinished: 0, identical: 0 };
  for (let done = 0; done < Number(most); done += 10_000) {
    fuzz(Number(seed) + done, Math.min(10_000, Number(most) - done), tally);
    console.log(`${JSON.stringify(tally)}, ${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`);
  }
}
