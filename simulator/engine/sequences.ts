/** Sequences: numbers that are never given back. https://learn.microsoft.com/sql/relational-databases/sequence-numbers/sequence-numbers */
import type { SequenceOptions } from "../sql/ast.ts";
import { SqlError } from "./session.ts";
import { isDecimal, isInteger } from "./types/types.ts";
import { Decimal, type SqlType, type Value } from "./values.ts";

const LIMITS: Partial<Record<SqlType["id"], [bigint, bigint]>> = {
  tinyint: [0n, 255n],
  smallint: [-32768n, 32767n],
  int: [-2147483648n, 2147483647n],
  bigint: [-(2n ** 63n), 2n ** 63n - 1n],
};

/** Plain data: it is kept and restored with its database as it is. */
export interface Sequence {
  readonly objectId: number;
  readonly schema: string;
  readonly name: string;
  readonly createDate: Date;
  modifyDate: Date;
  readonly msShipped: boolean;
  readonly type: SqlType;
  start: bigint;
  increment: bigint;
  minimum: bigint;
  maximum: bigint;
  cycle: boolean;
  /** null: a size that the server chooses; 0: none. */
  cache: number | null;
  /** The next number to give; null when there is none left. */
  next: bigint | null;
  /** The last number that was given. */
  last: bigint | null;
}

type Definition = Pick<Sequence, "start" | "increment" | "minimum" | "maximum" | "cycle" | "cache">;
type Identity = Pick<Sequence, "objectId" | "schema" | "name" | "createDate">;

export function newSequence(identity: Identity, type: SqlType, options: SequenceOptions): Sequence {
  const { name } = identity;
  if (!LIMITS[type.id] && !(isDecimal(type) && type.scale === 0))
    throw new SqlError(
      11702,
      `The sequence object '${name}' must be of data type int, bigint, smallint, tinyint, or decimal or numeric with a scale of 0, or any user-defined data type that is based on one of the above integer data types.`,
      16,
      2,
    );
  const [lowest, highest] = limitsOf(type);
  const increment = options.increment ?? 1n;
  const minimum = options.minimum ?? lowest;
  const maximum = options.maximum ?? highest;
  const start = options.start ?? (increment < 0n ? maximum : minimum);
  const definition = {
    start,
    increment,
    minimum,
    maximum,
    cycle: options.cycle ?? false,
    cache: options.cache ?? null,
  };
  check(name, type, definition);
  return {
    ...identity,
    modifyDate: identity.createDate,
    msShipped: false,
    type,
    ...definition,
    next: start,
    last: null,
  };
}

/** ALTER SEQUENCE. What is not named stays. */
export function changeSequence(sequence: Sequence, options: SequenceOptions, now: Date): void {
  const [lowest, highest] = limitsOf(sequence.type);
  const restarted = options.restart !== undefined;
  const start = options.restart ?? sequence.start;
  const minimum = options.minimum === undefined ? sequence.minimum : (options.minimum ?? lowest);
  const maximum = options.maximum === undefined ? sequence.maximum : (options.maximum ?? highest);
  const current = restarted ? start : currentNumber(sequence);
  if (current < minimum || current > maximum)
    throw new SqlError(
      11704,
      `The current value '${current}' for sequence object '${sequence.name}' must be between the minimum and maximum value of the sequence object.`,
      16,
      1,
    );
  const definition = {
    start: within(start, minimum, maximum),
    increment: options.increment ?? sequence.increment,
    minimum,
    maximum,
    cycle: options.cycle ?? sequence.cycle,
    cache: options.cache === undefined ? sequence.cache : options.cache,
  };
  check(sequence.name, sequence.type, definition);
  Object.assign(sequence, definition, { modifyDate: now });
  if (restarted) {
    sequence.next = start;
    sequence.last = null;
  } else if (sequence.last !== null) sequence.next = numberAfter(sequence, sequence.last);
}

/** What sys.sequences calls current_value: the last number given, or the first to come. */
export function currentNumber({ last, start }: Sequence): bigint {
  return last ?? start;
}

/** NEXT VALUE FOR. Error 11728 where there is none left. */
export function takeNumber(sequence: Sequence): Value {
  if (sequence.next === null)
    throw new SqlError(
      11728,
      `The sequence object '${sequence.name}' has reached its minimum or maximum value. Restart the sequence object to allow new values to be generated.`,
      16,
      1,
    );
  sequence.last = sequence.next;
  sequence.next = numberAfter(sequence, sequence.last);
  return numberValue(sequence, sequence.last);
}

/** sp_sequence_get_range: so many numbers at once; `cycles` says how often it went round. Error 11732. */
export function takeRange(sequence: Sequence, size: bigint): { first: bigint; last: bigint; cycles: number } {
  const { next: first, increment, minimum, maximum } = sequence;
  const tooLong = () =>
    new SqlError(
      11732,
      `The requested range for sequence object '${sequence.name}' exceeds the maximum or minimum limit. Retry with a smaller range.`,
      16,
      1,
    );
  if (first === null) throw tooLong();
  const straight = first + increment * (size - 1n);
  let last = straight;
  let cycles = 0;
  if (straight < minimum || straight > maximum) {
    if (!sequence.cycle) throw tooLong();
    const step = increment < 0n ? -increment : increment;
    const left = (increment > 0n ? maximum - first : first - minimum) / step + 1n;
    const round = (maximum - minimum) / step + 1n;
    // Numbered from the first of the rounds that begin at the limit.
    const place = size - left - 1n;
    last = (increment > 0n ? minimum : maximum) + increment * (place % round);
    cycles = 1 + Number(place / round);
  }
  sequence.last = last;
  sequence.next = numberAfter(sequence, last);
  return { first, last, cycles };
}

/** A number as a value of the sequence's type. */
export function numberValue({ type }: Sequence, number: bigint): Value {
  if (type.id === "bigint") return number;
  return isInteger(type) ? Number(number) : new Decimal(number, 0);
}

function numberAfter({ increment, minimum, maximum, cycle }: Sequence, number: bigint): bigint | null {
  const next = number + increment;
  if (next >= minimum && next <= maximum) return next;
  if (!cycle) return null;
  return increment > 0n ? minimum : maximum;
}

function limitsOf(type: SqlType): [bigint, bigint] {
  const digits = 10n ** BigInt(type.precision ?? 18) - 1n;
  return LIMITS[type.id] ?? [-digits, digits];
}

function check(name: string, type: SqlType, { start, increment, minimum, maximum, cache }: Definition): void {
  const [lowest, highest] = limitsOf(type);
  const fail = (number: number, text: string): never => {
    throw new SqlError(number, text, 16, 1);
  };
  if (increment === 0n) fail(11700, `The increment for sequence object '${name}' cannot be zero.`);
  for (const [argument, value] of [
    ["MINVALUE", minimum],
    ["MAXVALUE", maximum],
    ["START WITH", start],
  ] as const)
    if (value < lowest || value > highest)
      fail(11708, `An invalid value was specified for argument '${argument}' for the given data type.`);
  if (minimum >= maximum)
    fail(11705, `The minimum value for sequence object '${name}' must be less than its maximum value.`);
  if ((increment < 0n ? -increment : increment) > maximum - minimum)
    fail(
      11701,
      `The absolute value of the increment for sequence object '${name}' must be less than or equal to the difference between the minimum and maximum value of the sequence object.`,
    );
  if (start < minimum || start > maximum)
    fail(
      11703,
      `The start value for sequence object '${name}' must be between the minimum and maximum value of the sequence object.`,
    );
  if (cache !== null && cache < 0) fail(11706, `The cache size for sequence object '${name}' must be greater than 0.`);
}

function within(value: bigint, low: bigint, high: bigint): bigint {
  if (value < low) return low;
  return value > high ? high : value;
}
