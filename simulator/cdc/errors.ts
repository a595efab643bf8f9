/**
 * Errors of change data capture with SQL Server's texts:
 * https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors-22000-to-22999
 */
import { type ResultSink, SqlError } from "../engine/session.ts";

const TEXTS = {
  22838:
    "All columns of a CDC unique index must be defined as NOT NULL. Index '%s' selected as the CDC unique index for source table '%s.%s' does not meet this requirement. Define all columns of the selected index as NOT NULL or select another unique index as the CDC index and resubmit the request.",
  22850:
    "The threshold value specified for the Change Data Capture cleanup process must be greater than 0. When creating or modifying the cleanup job, specify a positive threshold value. If this error is encountered when executing the sys.sp_cdc_cleanup_change_table stored procedure, reset the threshold value associated with the job to a non-negative value by using the sp_cdc_change_job stored procedure.",
  22901:
    "The database '%s' is not enabled for Change Data Capture. Ensure that the correct database context is set and retry the operation. To report on the databases enabled for Change Data Capture, query the is_cdc_enabled column in the sys.databases catalog view.",
  22854:
    "Can not enable Change Data Capture on table '%s' or add ColumnSet column to it because CDC does not support ColumnSet.",
  22865:
    "The number of columns in the index '%s', used as the unique row identifier to support net changes for table '%s'.'%s', exceeds the limit of 14 columns. Set the parameter @supports_net_changes to 0 or use the @index_name parameter to identify a unique index with fewer than 15 columns as the unique row identifier and resubmit the request.",
  22874: "Cannot set @enable_extended_ddl_handling parameter to 1 as this feature is not enabled.",
  22902: "Caller is not authorized to initiate the requested action. Sysadmin privileges are required.",
  22903:
    "Another connection with session ID %s is already running 'sp_replcmds' for Change Data Capture in the current database.",
  22904: "Caller is not authorized to initiate the requested action. DBO privileges are required.",
  22906:
    "The database '%s' cannot be enabled for Change Data Capture because a database user named 'cdc' or a schema named 'cdc' already exists in the current database. These objects are required exclusively by Change Data Capture. Drop or rename the user or schema and retry the operation.",
  22907:
    "Parameter @role_name cannot be empty. Specify a value for @role_name and retry the operation. Supply null as the value if no role is to be used to gate access to captured change data.",
  22910: "The cleanup request for database '%s' failed.  The database is not enabled for Change Data Capture.",
  22918: "One or more columns in the list of included columns was not a captured column of the change table %s.",
  22919:
    "One or more columns in the list of columns needing update flags was not a captured column of the change table %s.",
  22920: "The named capture instance %s does not exist for database %s.",
  22921:
    "Unable to generate scripts for all capture instances that the caller is authorized to access. To generate all such scripts, the parameters @column_list and @update_flag_list must both be null or empty.'",
  22926:
    "Could not create a capture instance because the capture instance name '%s' already exists in the current database. Specify an explicit unique name for the parameter @capture_instance.",
  22927:
    "Capture instance name '%s' exceeds the length limit of 100 characters. Specify a name that satisfies the length constraint.",
  22928: "Index name '%s' is not an index for table '%s.%s'. Specify a valid index name for the table.",
  22929:
    "Index '%s' must be either a primary key or a unique index for table '%s.%s'. Specify an index that meets at least one of these requirements.",
  22930: "Could not locate '%s' as a column of source table '%s.%s'. Specify a valid column name.",
  22931:
    "Source table '%s.%s' does not exist in the current database. Ensure that the correct database context is set. Specify a valid schema and table name for the database.",
  22932:
    "Capture instance name '%s' is invalid. Specify a valid name. See the topic 'Identifiers' in SQL Server Books Online for object name rules.",
  22938:
    "Role name '%s' is invalid. Specify a valid name. See the topic 'Identifiers' in SQL Server Books Online for object name rules.",
  22939:
    "The parameter @supports_net_changes is set to 1, but the source table does not have a primary key defined and no alternate unique index has been specified.",
  22943:
    "Columns used to uniquely identify a row for net change tracking must be included in the list of captured columns. Add either the primary key columns of the source table, or the columns defined for the index specified in the parameter @index_name to the list of captured columns and retry the operation.",
  22957:
    "LSN %s, specified as the new low end point for the change table associated with capture instance '%s', is not within the Change Data Capture timeline [%s, %s].",
  22960:
    "Change data capture instance '%s' has not been enabled for the source table '%s.%s'. Use sys.sp_cdc_help_change_data_capture to verify the capture instance name and retry the operation.",
  22962:
    "Two capture instances already exist for source table '%s.%s'. A table can have at most two capture instances. If the current tracking options are not appropriate, disable change tracking for the obsolete instance by using sys.sp_cdc_disable_table and retry the operation.",
  22963: "Parameter '%s' cannot be null or empty. Specify a value for the named parameter and retry the operation.",
  22964:
    "LSN %s, specified as the new low end point for change table cleanup must represent the start_lsn value of a current entry in the cdc.lsn_time_mapping table. Choose an LSN value that satisfies this requirement.",
  22965:
    "A quoted column in the column list is not properly terminated. Verify that columns are correctly delimited and retry the operation. For more information, see 'Delimited Identifiers' in Books Online.",
  22970: "The value for parameter @maxscans specified for the Change Data Capture job must be greater than 0.",
  22972:
    "When calling stored procedure [sys].sp_cdc_help_change_data capture, if either @source_schema or @source_name is non-null and non-empty, the other parameter must also be non-null and non-empty.",
  22973:
    "The specified filegroup '%s' is not a valid filegroup for database '%s'. Specify a valid existing filegroup or create the named filegroup, and retry the operation.",
  22974: "Tables contained in the cdc schema cannot be enabled for Change Data Capture.",
  22975:
    "Source table '%s' contains one of the following reserved column names: __$start_lsn, __$end_lsn, __$seqval, __$operation, and __$update_mask. To enable Change Data Capture for this table, specify a captured column list and ensure that these columns are excluded from the list.",
  22979:
    "The unique index '%s' on table '%s' is used by Change Data Capture. The constraint using this index cannot be dropped or disabled.",
  22981: "Object does not exist or access is denied.",
  22983:
    "The unique index '%s' on source table '%s' is used by Change Data Capture. To alter or drop the index, you must first disable Change Data Capture on the table.",
  22985:
    "Change data capture has not been enabled for source table '%s.%s'. Specify the name of a table enabled for Change Data Capture. To report on the tables enabled for Change Data Capture, query the is_tracked_by_cdc column in the sys.tables catalog view.",
  22989:
    "Could not enable Change Data Capture for database '%s'. Change data capture is not supported on system databases, or on a distribution database.",
  22990:
    "The value specified for the parameter @pollinginterval must be greater than or equal to 0 and less than 24 hours(Max: 86399 seconds). Specify a polling interval (in seconds) that is less than 24 hours (86,400 seconds).",
  22991: "The value specified for the parameter @maxtrans must be greater than 0.",
  22992:
    "The specified @job_type, %s, is not supported. The value specified for the parameter @job_type must be N'capture' to indicate a capture job, or N'cleanup' to indicate a cleanup job.",
  22994:
    "The retention value specified for the Change Data Capture cleanup process must be greater than 0 and less than or equal to 52594800. When creating or modifying the cleanup job, specify a retention value (in minutes) that is within that range. If this error is encountered when executing the sys.sp_cdc_cleanup_change_table stored procedure, reset the retention value associated with the job to a non-negative value less than 52594800 by using the sp_cdc_change_job stored procedure.",
  22995:
    "A value for the parameter @retention cannot be specified when the job type is 'capture'. Specify NULL for the parameter, or omit the parameter from the statement.",
  22996:
    "When adding or modifying the CDC cleanup job, @pollinginterval, @maxtrans, @maxscans, and @continuous may not be assigned non-null values.",
  22997:
    "The Change Data Capture '%s' job does not exist in the system table 'msdb.dbo.cdc_jobs'. Use the stored procedure 'sys.sp_cdc_add_job' to add the Change Data Capture job.",
  22998: "The value specified for the parameter @continuous must be 0 or 1.",
  22999:
    "The value specified for the parameter @pollinginterval must be null or 0 when the stored procedure 'sys.sp_cdc_scan' is not being run in continuous mode.",
} as const;

/** Messages of severity 10: they go to the client as information, and the statement goes on. */
const NOTICES = {
  14243: "Job '%s' started successfully.",
  14254: "Job '%s' stopped successfully.",
  22857:
    "Warning: The @allow_partition_switch parameter must be 1 for tables that are not partitioned. The explicit setting of the parameter to 0 was ignored. Refer to books online for more information about partition switching behavior when using Change Data Capture.",
  22901: TEXTS[22901],
  22905:
    "Database '%s' is already enabled for Change Data Capture. Ensure that the correct database context is set, and retry the operation. To report on the databases enabled for Change Data Capture, query the is_cdc_enabled column in the sys.databases catalog view.",
  22969:
    "Update mask evaluation will be disabled in net_changes_function because the CLR configuration option is disabled.",
} as const;

function filled(text: string, values: string[]): string {
  let next = 0;
  return text.replaceAll("%s", () => values[next++] ?? "");
}

/** Severity 10 goes out as 0, as RAISERROR's does. */
export function notice(sink: ResultSink, number: keyof typeof NOTICES, ...values: string[]): void {
  sink.message({ number, state: 1, severity: 0, message: filled(NOTICES[number], values), line: 1 });
}

/** What SQL Server Agent says to starting a job that runs, or stopping one that does not. */
export function refusedByAgent(request: "run" | "stop", job: string, user: string): SqlError {
  const why =
    request === "run"
      ? `the job is already running from a request by User ${user}`
      : "the job is not currently running";
  return new SqlError(
    22022,
    `SQLServerAgent Error: Request to ${request} job ${job} (from User ${user}) refused because ${why}.`,
  );
}

export function cdcError(number: keyof typeof TEXTS, ...values: string[]): SqlError {
  return new SqlError(number, filled(TEXTS[number], values));
}

/**
 * What a range outside the validity interval looks like; the dots are part of the name that the server shows. TRY … CATCH sees it:
 * https://learn.microsoft.com/sql/relational-databases/system-functions/sys-fn-cdc-increment-lsn-transact-sql ("Error 313 …")
 */
export function badRange(kind: "all" | "net"): SqlError {
  const error = new SqlError(
    313,
    `An insufficient number of arguments were supplied for the procedure or function cdc.fn_cdc_get_${kind}_changes_ ... .`,
    16,
    3,
  );
  error.atRunTime = true;
  return error;
}

export function selectDenied(object: string, database: string, schema: string): SqlError {
  return new SqlError(
    229,
    `The SELECT permission was denied on the object '${object}', database '${database}', schema '${schema}'.`,
    14,
    5,
  );
}
