/**
 * Dynamic management views that drivers and monitoring ask.
 * https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/system-dynamic-management-views
 */
import { toDatetime } from "../cdc/server-time.ts";
import type { Engine } from "../engine/engine.ts";
import { fitTemporal, fromDate, withOffset } from "../engine/types/temporal.ts";
import type { Session } from "../engine/user-session.ts";
import type { Temporal } from "../engine/values.ts";
import { emptyView, type RowObject, stateView, view } from "./define.ts";

function dateTimeOffset(engine: Engine, instant: Date): Temporal {
  const offset = engine.timeZone.offsetAt(instant.getTime());
  const local = fromDate(instant, offset);
  return fitTemporal(withOffset(local.days, local.ticks, offset), { id: "datetimeoffset", scale: 7 })!;
}

const ISOLATION: Record<string, number> = {
  "read uncommitted": 1,
  "read committed": 2,
  "repeatable read": 3,
  serializable: 4,
  snapshot: 5,
};

function sessionRow(engine: Engine, session: Session): RowObject {
  const { options } = session;
  const loginTime = toDatetime(engine, session.loginTime);
  return {
    session_id: session.spid,
    login_time: loginTime,
    host_name: session.host || null,
    program_name: session.application || null,
    host_process_id: null,
    client_version: 7,
    client_interface_name: session.clientInterface || null,
    security_id: Buffer.from([1]),
    login_name: session.login.name,
    status: "running",
    last_request_start_time: loginTime,
    last_request_end_time: loginTime,
    is_user_process: true,
    text_size: options.textSize,
    language: options.language,
    date_format: options.dateFormat,
    date_first: options.dateFirst,
    quoted_identifier: options.quotedIdentifier,
    arithabort: options.arithAbort,
    ansi_null_dflt_on: true,
    ansi_warnings: options.ansiWarnings,
    ansi_padding: options.ansiPadding,
    ansi_nulls: options.ansiNulls,
    concat_null_yields_null: options.concatNullYieldsNull,
    transaction_isolation_level: ISOLATION[session.isolation] ?? 2,
    lock_timeout: options.lockTimeout,
    deadlock_priority: options.deadlockPriority,
    original_security_id: Buffer.from([1]),
    original_login_name: session.login.name,
    group_id: 2,
    database_id: session.currentDatabase.id,
    authenticating_database_id: 1,
    open_transaction_count: session.currentTransaction ? 1 : 0,
  };
}

const SESSION = `session_id smallint!, login_time datetime!, host_name nvarchar(128), program_name nvarchar(128), host_process_id int,
  client_version int, client_interface_name nvarchar(32), security_id varbinary(85)!, login_name nvarchar(128)!,
  nt_domain nvarchar(128), nt_user_name nvarchar(128), status nvarchar(30)!, context_info varbinary(128), cpu_time int!,
  memory_usage int!, total_scheduled_time int!, total_elapsed_time int!, endpoint_id int!,
  last_request_start_time datetime!, last_request_end_time datetime, reads bigint!, writes bigint!, logical_reads bigint!,
  is_user_process bit!, text_size int!, language nvarchar(128), date_format nvarchar(3), date_first smallint!,
  quoted_identifier bit!, arithabort bit!, ansi_null_dflt_on bit!, ansi_defaults bit!, ansi_warnings bit!,
  ansi_padding bit!, ansi_nulls bit!, concat_null_yields_null bit!, transaction_isolation_level smallint!,
  lock_timeout int!, deadlock_priority int!, row_count bigint!, prev_error int!, original_security_id varbinary(85)!,
  original_login_name nvarchar(128)!, last_successful_logon datetime, last_unsuccessful_logon datetime,
  unsuccessful_logons bigint, group_id int!, database_id smallint!, authenticating_database_id int,
  open_transaction_count int!, page_server_reads bigint!`;

const REQUEST = `session_id smallint!, request_id int!, start_time datetime!, status nvarchar(30)!, command nvarchar(32)!,
  sql_handle varbinary(64), statement_start_offset int, statement_end_offset int, plan_handle varbinary(64),
  database_id smallint!, user_id int!, connection_id uniqueidentifier, blocking_session_id smallint, wait_type nvarchar(60),
  wait_time int!, last_wait_type nvarchar(60)!, wait_resource nvarchar(256)!, open_transaction_count int!,
  open_resultset_count int!, transaction_id bigint!, context_info varbinary(128), percent_complete real!,
  estimated_completion_time bigint!, cpu_time int!, total_elapsed_time int!`;

const CONNECTION = `session_id int, most_recent_session_id int, connect_time datetime!, net_transport nvarchar(40)!,
  protocol_type nvarchar(40), protocol_version int, endpoint_id int, encrypt_option nvarchar(40)!, auth_scheme nvarchar(40)!,
  node_affinity smallint!, num_reads int, num_writes int, last_read datetime, last_write datetime, net_packet_size int,
  client_net_address varchar(48), client_tcp_port int, local_net_address varchar(48), local_tcp_port int,
  connection_id uniqueidentifier!, parent_connection_id uniqueidentifier, most_recent_sql_handle varbinary(64)`;

export function registerServerViews(engine: Engine): void {
  const views = [
    // Without VIEW SERVER STATE one sees one's own session.
    view("sys", "dm_exec_sessions", SESSION, ({ engine: server, session: own }) =>
      [...server.sessions.values()]
        .filter((session) => own.login.sysadmin || session === own)
        .map((session) => sessionRow(server, session)),
    ),
    stateView("SERVER", "dm_exec_requests", REQUEST, (context) => {
      const { session } = context;
      return [
        {
          session_id: session.spid,
          start_time: toDatetime(engine, context.now()),
          status: "running",
          command: "SELECT",
          database_id: session.currentDatabase.id,
          user_id: 1,
          blocking_session_id: 0,
          open_transaction_count: session.currentTransaction ? 1 : 0,
          open_resultset_count: 1,
          transaction_id: session.currentTransaction?.id ?? 0n,
        },
      ];
    }),
    stateView("SERVER", "dm_exec_connections", CONNECTION, ({ engine: server }) =>
      [...server.sessions.values()].map((session) => ({
        session_id: session.spid,
        most_recent_session_id: session.spid,
        connect_time: toDatetime(server, session.loginTime),
        net_transport: "TCP",
        protocol_type: "TSQL",
        protocol_version: 1_946_157_060,
        endpoint_id: 4,
        encrypt_option: session.encrypted ? "TRUE" : "FALSE",
        auth_scheme: "SQL",
        net_packet_size: 4096,
        client_net_address: "127.0.0.1",
        local_net_address: "127.0.0.1",
        connection_id: `00000000-0000-0000-0000-${session.spid.toString(16).toUpperCase().padStart(12, "0")}`,
      })),
    ),
    stateView(
      "SERVER",
      "dm_server_services",
      `servicename nvarchar(256)!, startup_type int, startup_type_desc nvarchar(256)!, status int, status_desc nvarchar(256)!,
       process_id int, last_startup_time datetimeoffset(7), service_account nvarchar(256)!, filename nvarchar(256)!,
       is_clustered nvarchar(1)!, cluster_nodename nvarchar(256), instant_file_initialization_enabled nvarchar(1)!`,
      ({ engine: server }) =>
        ["SQL Server (MSSQLSERVER)", "SQL Server Agent (MSSQLSERVER)"].map((name) => ({
          servicename: name,
          startup_type: 2,
          startup_type_desc: "Automatic",
          status: 4,
          status_desc: "Running",
          process_id: process.pid,
          last_startup_time: dateTimeOffset(server, server.startTime),
          service_account: name.includes("Agent") ? "NT Service\\SQLSERVERAGENT" : "NT Service\\MSSQLSERVER",
          filename: "",
          is_clustered: "N",
          instant_file_initialization_enabled: "N",
        })),
    ),
    stateView(
      "SERVER",
      "dm_os_sys_info",
      `cpu_ticks bigint!, ms_ticks bigint!, cpu_count int!, hyperthread_ratio int!, physical_memory_kb bigint!,
       virtual_memory_kb bigint!, committed_kb bigint!, committed_target_kb bigint!, sqlserver_start_time datetime!`,
      ({ engine: server }) => [
        {
          cpu_count: 2,
          hyperthread_ratio: 2,
          physical_memory_kb: 8_388_608n,
          sqlserver_start_time: toDatetime(server, server.startTime),
        },
      ],
    ),
    stateView(
      "SERVER",
      "dm_os_host_info",
      `host_platform nvarchar(256)!, host_distribution nvarchar(256)!, host_release nvarchar(256)!,
       host_service_pack_level nvarchar(256)!, host_sku int, os_language_version int!, host_architecture nvarchar(256)!`,
      () => [
        {
          host_platform: "Linux",
          host_distribution: "Ubuntu",
          host_release: "22.04",
          os_language_version: 1033,
          host_architecture: "X64",
        },
      ],
    ),
    stateView(
      "SERVER",
      "dm_tran_active_transactions",
      `transaction_id bigint!, name nvarchar(32)!, transaction_begin_time datetime!, transaction_type int!,
       transaction_uow uniqueidentifier, transaction_state int!, transaction_status int!, transaction_status2 int!`,
      function* ({ engine: server }) {
        for (const { currentTransaction } of server.sessions.values())
          if (currentTransaction)
            yield {
              transaction_id: currentTransaction.id,
              name: currentTransaction.name || "user_transaction",
              transaction_begin_time: toDatetime(server, currentTransaction.beginTime),
              transaction_type: 1,
              transaction_state: 2,
            };
      },
    ),
    // https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/sys-dm-tran-session-transactions-transact-sql
    stateView(
      "SERVER",
      "dm_tran_session_transactions",
      `session_id int, transaction_id bigint, transaction_descriptor binary(8), enlist_count int, is_user_transaction bit,
       is_local bit, is_enlisted bit, is_bound bit, open_transaction_count int`,
      function* ({ engine: server }) {
        for (const { spid, currentTransaction, transactionCount } of server.sessions.values())
          if (currentTransaction)
            yield {
              session_id: spid,
              transaction_id: currentTransaction.id,
              transaction_descriptor: Buffer.from(
                currentTransaction.id.toString(16).padStart(16, "0"),
                "hex",
              ).reverse(),
              enlist_count: 0,
              is_user_transaction: true,
              is_local: true,
              is_enlisted: false,
              is_bound: false,
              open_transaction_count: transactionCount,
            };
      },
    ),
    emptyView(
      "sys",
      "dm_tran_locks",
      `resource_type nvarchar(60)!, resource_subtype nvarchar(60)!, resource_database_id int!, resource_description nvarchar(256)!,
       resource_associated_entity_id bigint, request_mode nvarchar(60)!, request_type nvarchar(60)!, request_status nvarchar(60)!,
       request_session_id int!`,
    ),
    emptyView(
      "sys",
      "dm_hadr_database_replica_states",
      `database_id int!, group_id uniqueidentifier!, replica_id uniqueidentifier!, group_database_id uniqueidentifier!,
       is_local bit, is_primary_replica bit, synchronization_state tinyint, synchronization_state_desc nvarchar(60),
       is_commit_participant bit, synchronization_health tinyint, synchronization_health_desc nvarchar(60),
       database_state tinyint, database_state_desc nvarchar(60), last_commit_lsn decimal(25,0), last_commit_time datetime`,
    ),
    emptyView(
      "sys",
      "dm_hadr_availability_replica_states",
      `replica_id uniqueidentifier!, group_id uniqueidentifier!, is_local bit!, role tinyint, role_desc nvarchar(60),
       operational_state tinyint, operational_state_desc nvarchar(60), connected_state tinyint,
       connected_state_desc nvarchar(60), recovery_health tinyint, recovery_health_desc nvarchar(60),
       synchronization_health tinyint, synchronization_health_desc nvarchar(60)`,
    ),
    emptyView(
      "sys",
      "availability_groups",
      "group_id uniqueidentifier!, name sysname, resource_id nvarchar(40), resource_group_id nvarchar(40)",
    ),
    emptyView(
      "sys",
      "availability_replicas",
      `replica_id uniqueidentifier, group_id uniqueidentifier, replica_server_name nvarchar(256), availability_mode tinyint,
       availability_mode_desc nvarchar(60), secondary_role_allow_connections tinyint,
       secondary_role_allow_connections_desc nvarchar(60)`,
    ),
    emptyView("sys", "change_tracking_databases", "database_id int!, is_auto_cleanup_on tinyint, retention_period int"),
    emptyView("sys", "change_tracking_tables", "object_id int!, is_track_columns_updated_on bit!"),
    view(
      "sys",
      "servers",
      `server_id int!, name sysname!, product sysname!, provider sysname!, data_source nvarchar(4000), location nvarchar(4000),
       provider_string nvarchar(4000), catalog sysname, is_linked bit!`,
      ({ engine: server }) => [
        { name: server.serverName, product: "SQL Server", provider: "SQLNCLI", data_source: server.serverName },
      ],
    ),
  ];
  for (const definition of views) engine.registerView(definition);
}
