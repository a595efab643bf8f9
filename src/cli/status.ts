/**
 * `dstream status`: asks the database, the checkpoints and the locks, never an instance, so it works from anywhere. Changes nothing.
 * Exit code 0: every table is owned, and none is stopped or has lost changes; 1 otherwise.
 */
import { existsSync } from "node:fs";
import { formatLsnWithColons, type Position } from "../change/position.ts";
import type { Config } from "../config/config.ts";
import { checkpointKey, type Failure, fullName, type StoredCheckpoint } from "../ingester/checkpoint.ts";
import type { SourceTable } from "../ingester/source.ts";
import type { LockOwner } from "../locks/lock.ts";
import type { Standing } from "../sources/sqlserver/standing.ts";
import { silent } from "../telemetry/logger.ts";
import { describePosition } from "./checkpoints.ts";
import { type CommonOptions, configure, openCheckpoints, openLocks, openSource } from "./wiring.ts";

/** One table, as `--json` prints it. Times are UTC, durations in seconds; null: not known. */
export interface TableStatus {
  table: string;
  owner: { host: string; pid: number; since: string; token: number; expires: string } | null;
  position: Position | null;
  savedAt: string | null;
  lagSeconds: number | null;
  /** Not acknowledged yet. */
  changes: number | null;
  /** `changes` is where counting ended. */
  moreChanges: boolean;
  maximum: string | null;
  lowWatermark: string | null;
  /** Changes after the checkpoint are gone. */
  gap: boolean;
  secondsUntilCleanup: number | null;
  error: { message: string; since: string } | null;
}

export async function status(options: CommonOptions & { json?: boolean }): Promise<number> {
  const { config } = await configure(options);
  await using stack = new AsyncDisposableStack();
  const source = await openSource(config, silent, stack);
  const checkpoints = await openCheckpoints(config, stack);
  const tables = await source.tables();
  const [stored, failures, owners] = await Promise.all([
    checkpoints.list(),
    checkpoints.failures(),
    ownersOf(config, source.lockPrefix, stack),
  ]);
  const of = <T extends Pick<StoredCheckpoint, "table">>(table: SourceTable, list: readonly T[]): T | undefined =>
    list.find((each) => checkpointKey(each.table).toLowerCase() === checkpointKey(table).toLowerCase());
  const entries = tables.map((table) => ({ table, checkpoint: of(table, stored) ?? null }));
  const standings = await source.standings(entries, new AbortController().signal);
  const all = entries.map(({ table, checkpoint }, index) =>
    tableStatus(table, checkpoint, standings[index]!, owners.get(table.lockName), of(table, failures)),
  );
  const knowsOwners = config.ingester.locks.type !== "none";
  process.stdout.write(options.json ? `${JSON.stringify(all, null, 2)}\n` : textOf(all, knowsOwners));
  return all.every(({ owner, error, gap }) => (owner !== null || !knowsOwners) && error === null && !gap) ? 0 : 1;
}

/** Nobody made the embedded file yet: nobody owns anything, and looking makes no file. */
async function ownersOf(
  config: Config,
  prefix: string,
  stack: AsyncDisposableStack,
): Promise<ReadonlyMap<string, LockOwner>> {
  const { locks } = config.ingester;
  if (locks.type === "embedded" && !existsSync(locks.path)) return new Map();
  return await (await openLocks(config, silent, stack)).owners(prefix);
}

function tableStatus(
  table: SourceTable,
  checkpoint: StoredCheckpoint | null,
  standing: Standing,
  owner: LockOwner | undefined,
  failure: Failure | undefined,
): TableStatus {
  return {
    table: fullName(table),
    owner:
      owner === undefined ? null : { ...owner, since: owner.since.toISOString(), expires: owner.expires.toISOString() },
    position: checkpoint?.position ?? null,
    savedAt: checkpoint?.updatedAt.toISOString() ?? null,
    lagSeconds: standing.lagSeconds,
    changes: standing.changes,
    moreChanges: standing.more,
    maximum: standing.maximum,
    lowWatermark: standing.lowWatermark,
    gap: standing.gap,
    secondsUntilCleanup: standing.cleanupSeconds,
    error: failure === undefined ? null : { message: failure.error, since: failure.since.toISOString() },
  };
}

function textOf(all: readonly TableStatus[], knowsOwners: boolean): string {
  return all.map((each) => `${linesOf(each, knowsOwners).join("\n    ")}\n`).join("");
}

function linesOf(each: TableStatus, knowsOwners: boolean): string[] {
  const { owner, position, changes, gap, error, lowWatermark } = each;
  const lines = [each.table];
  if (owner !== null)
    lines.push(`owner: process ${owner.pid} on ${owner.host} since ${owner.since}, token ${owner.token}`);
  else if (knowsOwners) lines.push("owner: nobody reads it");
  if (position === null) lines.push("position: no checkpoint yet");
  else {
    lines.push(`position: ${describePosition(position)}, saved ${each.savedAt}`);
    const count = `${each.moreChanges ? "more than " : ""}${changes?.toLocaleString("en-US")} changes`;
    if (changes === null) lines.push("behind: unknown");
    else lines.push(changes === 0 ? "behind: nothing" : `behind: ${count}, ${duration(each.lagSeconds)}`);
  }
  if (lowWatermark === null) lines.push("CDC: the table is not captured, or not processed yet");
  else lines.push(`CDC keeps changes from ${formatLsnWithColons(lowWatermark)} on; ${cleanup(each)}`);
  if (gap) lines.push("GAP: changes after the checkpoint were cleaned up before they were read");
  if (error !== null) lines.push(`STOPPED since ${error.since}: ${error.message}`);
  return lines;
}

function cleanup({ secondsUntilCleanup: left }: TableStatus): string {
  if (left === null) return "when clean-up passes the checkpoint is not known";
  return left > 0
    ? `clean-up passes the checkpoint in ${duration(left)}`
    : "clean-up passes the checkpoint at its next run";
}

function duration(seconds: number | null): string {
  if (seconds === null) return "an unknown time";
  const units: [number, string][] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
  ];
  const at = units.findIndex(([size]) => seconds >= size);
  if (at < 0) return `${seconds} s`;
  const [size, name] = units[at]!;
  const [smaller, smallerName] = units[at + 1] ?? [1, "s"];
  const rest = Math.floor((seconds % size) / smaller);
  return `${Math.floor(seconds / size)} ${name}${rest === 0 ? "" : ` ${rest} ${smallerName}`}`;
}
