/** `dstream checkpoints`: looks at positions and moves them, while nobody works on the table or by force. */
import {
  afterTransaction,
  beforeTransaction,
  comparePositions,
  formatLsnWithColons,
  type Position,
  parseLsn,
} from "../change/position.ts";
import { parseTableName } from "../config/tables.ts";
import { parseStart, type Start } from "../config/units.ts";
import { type Checkpoint, type CheckpointStore, checkpointKey, fullName } from "../ingester/checkpoint.ts";
import type { SourceTable } from "../ingester/source.ts";
import type { LockOwner } from "../locks/lock.ts";
import type { SqlServerSource } from "../sources/sqlserver/source.ts";
import { silent } from "../telemetry/logger.ts";
import { UsageError } from "./usage-error.ts";
import { type CommonOptions, configure, openCheckpoints, openLocks, openSource } from "./wiring.ts";

export async function list(options: CommonOptions): Promise<number> {
  const { config } = await configure(options);
  await using stack = new AsyncDisposableStack();
  const stored = await (await openCheckpoints(config, stack)).list();
  const rows = stored.map(({ table, position, commitTime, token, updatedAt }) => [
    checkpointKey(table),
    describePosition(position),
    `committed ${commitTime ?? "unknown"}`,
    `token ${token}`,
    `saved ${updatedAt.toISOString()}`,
  ]);
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]!.length))) ?? [];
  for (const row of rows)
    process.stdout.write(`${row.map((text, column) => text.padEnd(widths[column]!)).join("  ")}\n`);
  if (stored.length === 0) process.stderr.write("There are no checkpoints yet.\n");
  return 0;
}

export async function set(
  name: string,
  options: CommonOptions & { lsn?: string; now?: boolean; force?: boolean },
): Promise<number> {
  if ((options.lsn === undefined) === (options.now !== true))
    throw new UsageError("Say where to go on: --lsn <lsn> or --now.");
  const lsn = options.lsn === undefined ? null : requireLsn(options.lsn);
  const start: Start = { at: "now" };
  return await move(name, options, start, (position) => (lsn === null ? position : afterTransaction(lsn)));
}

export async function rewind(
  name: string,
  options: CommonOptions & { lsn?: string; time?: string; force?: boolean },
): Promise<number> {
  if ((options.lsn === undefined) === (options.time === undefined))
    throw new UsageError("Say from where on to read again: --lsn <lsn> or --time <time>.");
  if (options.lsn !== undefined) {
    const lsn = requireLsn(options.lsn);
    return await move(name, options, { at: "lsn", lsn }, () => beforeTransaction(lsn));
  }
  const start = parseStart(options.time!);
  if (start?.at !== "time") throw new UsageError(`${options.time} is no time: write it as 2026-11-21T10:00:00Z.`);
  return await move(name, options, start, (position) => position);
}

async function move(
  name: string,
  options: CommonOptions & { force?: boolean },
  start: Start,
  choose: (found: Position) => Position,
): Promise<number> {
  const { config } = await configure(options);
  await using stack = new AsyncDisposableStack();
  const source = await openSource(config, silent, stack, { start });
  const table = await findTable(source, name);
  const checkpoints = await openCheckpoints(config, stack);
  await checkpoints.prepare();

  const locks = await openLocks(config, silent, stack);
  const signal = new AbortController().signal;
  const lock = await locks.acquire(table.lockName, signal);
  if (!lock && !options.force && !(await isStopped(table, checkpoints)))
    throw new UsageError(describeOwner(table, await locks.owner(table.lockName)));

  const before = await checkpoints.load(table);
  const position = choose(await source.start(table, signal));
  const checkpoint: Checkpoint = { position, commitTime: await source.commitTime(position.startLsn, signal) };
  await checkpoints.force(table, checkpoint);
  await lock?.release();
  process.stdout.write(
    `${fullName(table)}: from ${before ? describePosition(before.position) : "no checkpoint"} to ${describePosition(position)}\n`,
  );
  const { endpoint } = config.ingester.queue;
  const back = before !== null && comparePositions(position, before.position) < 0;
  if (back && endpoint.type === "embedded") process.stderr.write(`${rememberedIds(endpoint.path)}\n`);
  return 0;
}

/** Its owner does nothing but wait for just this. */
async function isStopped(table: SourceTable, checkpoints: CheckpointStore): Promise<boolean> {
  const failures = await checkpoints.failures();
  return failures.some((failure) => checkpointKey(failure.table) === checkpointKey(table));
}

async function findTable(source: SqlServerSource, name: string): Promise<SourceTable> {
  const wanted = parseTableName(name);
  if (typeof wanted === "string") throw new UsageError(`${name} ${wanted}.`);
  const tables = await source.tables();
  const found = tables.find((table) => wanted.expression.test(`${table.schema}\0${table.table}`));
  if (!found)
    throw new UsageError(`The configuration does not name ${name}; it names ${tables.map(fullName).join(", ")}.`);
  return found;
}

function describeOwner(table: SourceTable, owner: LockOwner | null): string {
  const who = owner ? `Process ${owner.pid} on ${owner.host}, since ${owner.since.toISOString()},` : "An ingester";
  return `${fullName(table)} has an owner. ${who} would not see its checkpoint move: stop it first, or say --force: then it is fenced off, and goes on from the new place after it has taken the table again.`;
}

/** The same change has the same id, so that a repeat is recognised: a queue that drops repeats drops these too. */
function rememberedIds(path: string): string {
  return (
    "The embedded queue drops what it was sent before, by its ids (of the last seven days, or million messages): changes that it " +
    `remembers will be read again, but not delivered again. To have them delivered, stop dstream, let consumers empty the topics, and remove ${path}.`
  );
}

function requireLsn(text: string): string {
  const lsn = parseLsn(text);
  if (lsn === null)
    throw new UsageError(`${text} is no LSN: write 0x and 20 hexadecimal digits, or 00000036:00000b20:0003.`);
  return lsn;
}

export function describePosition({ startLsn, commandId, seqval, operation }: Position): string {
  const lsn = formatLsnWithColons(startLsn);
  if (operation === 255) return `after ${lsn}`;
  if (commandId < 0) return `before ${lsn}`;
  return `${lsn} command ${commandId} seqval ${formatLsnWithColons(seqval)} operation ${operation}`;
}
