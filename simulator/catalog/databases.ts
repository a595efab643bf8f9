/**
 * sys.databases, sys.configurations and what the database itself reports.
 * https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-databases-transact-sql
 */

import { newId } from "../cdc/cdc-database.ts";
import { cdcTables } from "../cdc/instances.ts";
import { toDatetime } from "../cdc/server-time.ts";
import type { Engine } from "../engine/engine.ts";
import type { Database } from "../engine/storage.ts";
import { Variant } from "../engine/values.ts";
import { type RowObject, view } from "./define.ts";

const DATABASE = `name sysname!, database_id int!, source_database_id int, owner_sid varbinary(85), create_date datetime!,
  compatibility_level tinyint!, collation_name sysname, user_access tinyint, user_access_desc nvarchar(60), is_read_only bit,
  is_auto_close_on bit!, is_auto_shrink_on bit, state tinyint, state_desc nvarchar(60), is_in_standby bit,
  is_cleanly_shutdown bit, is_supplemental_logging_enabled bit, snapshot_isolation_state tinyint,
  snapshot_isolation_state_desc nvarchar(60), is_read_committed_snapshot_on bit, recovery_model tinyint,
  recovery_model_desc nvarchar(60), page_verify_option tinyint, page_verify_option_desc nvarchar(60),
  is_auto_create_stats_on bit, is_auto_create_stats_incremental_on bit, is_auto_update_stats_on bit,
  is_auto_update_stats_async_on bit, is_ansi_null_default_on bit, is_ansi_nulls_on bit, is_ansi_padding_on bit,
  is_ansi_warnings_on bit, is_arithabort_on bit, is_concat_null_yields_null_on bit, is_numeric_roundabort_on bit,
  is_quoted_identifier_on bit, is_recursive_triggers_on bit, is_cursor_close_on_commit_on bit, is_local_cursor_default bit,
  is_fulltext_enabled bit, is_trustworthy_on bit, is_db_chaining_on bit, is_parameterization_forced bit,
  is_master_key_encrypted_by_server bit!, is_query_store_on bit!, is_published bit!, is_subscribed bit!,
  is_merge_published bit!, is_distributor bit!, is_sync_with_backup bit!, service_broker_guid uniqueidentifier!,
  is_broker_enabled bit!, log_reuse_wait tinyint, log_reuse_wait_desc nvarchar(60), is_date_correlation_on bit!,
  is_cdc_enabled bit!, is_encrypted bit, is_honor_broker_priority_on bit, replica_id uniqueidentifier,
  group_database_id uniqueidentifier, resource_pool_id int, default_language_lcid smallint,
  default_language_name nvarchar(128), default_fulltext_language_lcid int, default_fulltext_language_name nvarchar(128),
  is_nested_triggers_on bit, is_transform_noise_words_on bit, two_digit_year_cutoff smallint, containment tinyint,
  containment_desc nvarchar(60), target_recovery_time_in_seconds int, delayed_durability int,
  delayed_durability_desc nvarchar(60), is_memory_optimized_elevate_to_snapshot_on bit, is_federation_member bit,
  is_remote_data_archive_enabled bit, is_mixed_page_allocation_on bit, is_temporal_history_retention_enabled bit,
  catalog_collation_type int, catalog_collation_type_desc nvarchar(60), physical_database_name nvarchar(128),
  is_result_set_caching_on bit, is_accelerated_database_recovery_on bit, is_tempdb_spill_to_remote_store bit,
  is_stale_page_detection_on bit, is_memory_optimized_enabled bit, is_data_retention_enabled bit, is_ledger_on bit,
  is_change_feed_enabled bit`;

/** ALTER DATABASE … SET x: what it was set to. */
export function databaseOption(database: Database, name: string): string | undefined {
  return database.options.get(name)?.toUpperCase();
}

export function isReadOnly(database: Database): boolean {
  return database.options.has("READ_ONLY");
}

export function compatibilityLevel(database: Database): number {
  return Number(databaseOption(database, "COMPATIBILITY_LEVEL") ?? 160);
}

export function recoveryModel(database: Database): "FULL" | "BULK_LOGGED" | "SIMPLE" {
  const set = databaseOption(database, "RECOVERY");
  if (set === "FULL" || set === "BULK_LOGGED" || set === "SIMPLE") return set;
  return database.id <= 4 && database.id !== 3 ? "SIMPLE" : "FULL";
}

export function userAccess(database: Database): "MULTI_USER" | "SINGLE_USER" | "RESTRICTED_USER" {
  if (database.options.has("SINGLE_USER")) return "SINGLE_USER";
  return database.options.has("RESTRICTED_USER") ? "RESTRICTED_USER" : "MULTI_USER";
}

function databaseRow(engine: Engine, database: Database): RowObject {
  const on = (name: string) => databaseOption(database, name) === "ON";
  const snapshot = on("ALLOW_SNAPSHOT_ISOLATION");
  const recovery = recoveryModel(database);
  const access = userAccess(database);
  const unread = database.log.length > 0;
  const row: RowObject = {
    name: database.name,
    database_id: database.id,
    owner_sid: Buffer.from([1]),
    create_date: toDatetime(engine, database.createDate),
    compatibility_level: compatibilityLevel(database),
    collation_name: database.collation,
    user_access: ["MULTI_USER", "SINGLE_USER", "RESTRICTED_USER"].indexOf(access),
    user_access_desc: access,
    state: 0,
    state_desc: "ONLINE",
    is_read_only: isReadOnly(database),
    snapshot_isolation_state: snapshot ? 1 : 0,
    snapshot_isolation_state_desc: snapshot ? "ON" : "OFF",
    is_read_committed_snapshot_on: on("READ_COMMITTED_SNAPSHOT"),
    recovery_model: ["", "FULL", "BULK_LOGGED", "SIMPLE"].indexOf(recovery),
    recovery_model_desc: recovery,
    page_verify_option: 2,
    page_verify_option_desc: "CHECKSUM",
    is_auto_create_stats_on: true,
    is_auto_update_stats_on: true,
    is_query_store_on: database.id > 4,
    // What capture has not read yet keeps the log from being truncated, whatever the recovery model.
    log_reuse_wait: unread ? 6 : 0,
    log_reuse_wait_desc: unread ? "REPLICATION" : "NOTHING",
    is_cdc_enabled: cdcTables(database) !== undefined,
    containment: 0,
    containment_desc: "NONE",
    target_recovery_time_in_seconds: 60,
    delayed_durability: 0,
    delayed_durability_desc: "DISABLED",
    is_temporal_history_retention_enabled: true,
    catalog_collation_type: 0,
    catalog_collation_type_desc: "DATABASE_DEFAULT",
    physical_database_name: database.name,
  };
  for (const name of OFF_UNLESS_SET) row[name] ??= false;
  return row;
}

const OFF_UNLESS_SET = [...DATABASE.matchAll(/(is_\w+) bit/g)].map((match) => match[1]!);

interface Recovery {
  databaseGuid: string;
  familyGuid: string;
  forkGuid: string;
}
const RECOVERY = "recovery";

export function recoveryOf(database: Database): Recovery {
  let found = database.properties.get(RECOVERY) as Recovery | undefined;
  if (!found) {
    const family = newId(database.engine);
    found = { databaseGuid: newId(database.engine), familyGuid: family, forkGuid: family };
    database.properties.set(RECOVERY, found);
  }
  return found;
}

/** The log goes on as another branch of its history: what a restore to an earlier state leads to. */
export function forkRecovery(database: Database): void {
  const recovery = recoveryOf(database);
  database.properties.set(RECOVERY, { ...recovery, forkGuid: newId(database.engine) });
}

/** Server options by id: https://learn.microsoft.com/sql/database-engine/configure-windows/server-configuration-options-sql-server */
const CONFIGURATIONS: [id: number, name: string, value: number, least: number, most: number, description: string][] = [
  [101, "recovery interval (min)", 0, 0, 32767, "Maximum recovery interval in minutes"],
  [103, "user connections", 0, 0, 32767, "Number of user connections allowed"],
  [115, "nested triggers", 1, 0, 1, "Allow triggers to be invoked within triggers"],
  [124, "default language", 0, 0, 9999, "default language"],
  [518, "show advanced options", 0, 0, 1, "show advanced options"],
  [1534, "user options", 0, 0, 32767, "user options"],
  [1536, "max text repl size (B)", 65536, -1, 2_147_483_647, "Maximum size of a text field in replication."],
  [1539, "max degree of parallelism", 0, 0, 32767, "maximum degree of parallelism"],
  [1544, "max server memory (MB)", 2_147_483_647, 128, 2_147_483_647, "Maximum size of server memory (MB)"],
  [1562, "clr enabled", 0, 0, 1, "CLR user code execution enabled in the server"],
  [16390, "xp_cmdshell", 0, 0, 1, "Enable or disable command shell"],
];

/** The value of a server option that is in use, e.g. of "max text repl size (B)". */
export function configuration(engine: Engine, name: string): number {
  return engine.configurationInUse.get(name) ?? CONFIGURATIONS.find((one) => one[1] === name)?.[2] ?? 0;
}

/**
 * sp_configure: by the option's name or the beginning of it; gives its name and the value chosen before. Undefined if there is
 * none, or the value is out of its range.
 */
export function configure(engine: Engine, name: string, value: number): { name: string; before: number } | undefined {
  const found = CONFIGURATIONS.find((one) => one[1].startsWith(name.toLowerCase()));
  if (!found || value < found[3] || value > found[4]) return undefined;
  const before = engine.configuration.get(found[1]) ?? found[2];
  engine.configuration.set(found[1], value);
  return { name: found[1], before };
}

export function configurations(
  engine: Engine,
): { id: number; name: string; value: number; inUse: number; least: number; most: number; description: string }[] {
  return CONFIGURATIONS.map(([id, name, value, least, most, description]) => ({
    id,
    name,
    value: engine.configuration.get(name) ?? value,
    inUse: configuration(engine, name),
    least,
    most,
    description,
  }));
}

const FILE = `file_guid uniqueidentifier, type tinyint!, type_desc nvarchar(60), data_space_id int!, name sysname!,
  physical_name nvarchar(260), state tinyint, state_desc nvarchar(60), size int!, max_size int!, growth int!,
  is_media_read_only bit!, is_read_only bit!, is_sparse bit!, is_percent_growth bit!, is_name_reserved bit!`;

/** What a new database has: one file of data and one of log. */
function files({ name }: Database): RowObject[] {
  return (
    [
      [1, 0, "ROWS", 1, name, ".mdf"],
      [2, 1, "LOG", 0, `${name}_log`, ".ldf"],
    ] as const
  ).map(([id, type, description, space, file, suffix]) => ({
    file_id: id,
    type,
    type_desc: description,
    data_space_id: space,
    name: file,
    physical_name: `/var/opt/mssql/data/${file}${suffix}`,
    state: 0,
    state_desc: "ONLINE",
    size: 1024,
    max_size: -1,
    growth: 8192,
  }));
}

export function registerDatabaseViews(engine: Engine): void {
  const views = [
    view("sys", "databases", DATABASE, ({ engine: server }) =>
      [...server.databases.values()].map((database) => databaseRow(server, database)),
    ),
    view(
      "sys",
      "configurations",
      `configuration_id int!, name nvarchar(35)!, value sql_variant, minimum sql_variant, maximum sql_variant,
       value_in_use sql_variant, description nvarchar(255)!, is_dynamic bit!, is_advanced bit!`,
      ({ engine: server }) => {
        const int = (value: number) => new Variant({ id: "int" }, value);
        return configurations(server).map(({ id, name, value, inUse, least, most, description }) => ({
          configuration_id: id,
          name,
          value: int(value),
          minimum: int(least),
          maximum: int(most),
          value_in_use: int(inUse),
          description,
          is_dynamic: true,
        }));
      },
    ),
    view(
      "sys",
      "database_recovery_status",
      `database_id int!, database_guid uniqueidentifier, family_guid uniqueidentifier, last_log_backup_lsn decimal(25,0),
       recovery_fork_guid uniqueidentifier, first_recovery_fork_guid uniqueidentifier, fork_point_lsn decimal(25,0)`,
      ({ engine: server }) =>
        [...server.databases.values()].map((database) => {
          const { databaseGuid, familyGuid, forkGuid } = recoveryOf(database);
          return {
            database_id: database.id,
            database_guid: databaseGuid,
            family_guid: familyGuid,
            recovery_fork_guid: forkGuid,
            first_recovery_fork_guid: forkGuid === familyGuid ? null : familyGuid,
          };
        }),
    ),
    view("sys", "database_files", `file_id int!, ${FILE}`, ({ database }) => files(database)),
    view("sys", "master_files", `database_id int!, file_id int!, ${FILE}`, ({ engine: server }) =>
      [...server.databases.values()].flatMap((database) =>
        files(database).map((file) => ({ database_id: database.id, ...file })),
      ),
    ),
    view(
      "sys",
      "filegroups",
      `name sysname!, data_space_id int!, type char(2)!, type_desc nvarchar(60), is_default bit, is_system bit,
       filegroup_guid uniqueidentifier, log_filegroup_id int, is_read_only bit, is_autogrow_all_files bit`,
      () => [
        {
          name: "PRIMARY",
          data_space_id: 1,
          type: "FG",
          type_desc: "ROWS_FILEGROUP",
          is_default: true,
          is_system: false,
          is_read_only: false,
          is_autogrow_all_files: false,
        },
      ],
    ),
  ];
  for (const definition of views) engine.registerView(definition);
}
