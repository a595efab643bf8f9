/**
 * Views of what a database could have and never has here: tools that clean, compare or document a schema ask for all of them.
 * https://learn.microsoft.com/sql/relational-databases/system-catalog-views/catalog-views-transact-sql
 */
import type { Engine } from "../engine/engine.ts";
import { emptyView } from "./define.ts";

const NAMED = "name sysname!, principal_id int";
const DATED = "create_date datetime!, modify_date datetime!";
const KEY = `key_length int!, key_algorithm char(2)!, algorithm_desc nvarchar(60), ${DATED}`;

const VIEWS: Record<string, string> = {
  assemblies: `${NAMED}, assembly_id int!, clr_name nvarchar(4000), permission_set tinyint, permission_set_desc nvarchar(60),
    is_visible bit!, ${DATED}, is_user_defined bit`,
  assembly_types: `name sysname!, system_type_id tinyint!, user_type_id int!, schema_id int!, principal_id int, max_length smallint!,
    precision tinyint!, scale tinyint!, collation_name sysname, is_nullable bit!, is_user_defined bit!, is_assembly_type bit!,
    default_object_id int!, rule_object_id int!, assembly_id int!, assembly_class sysname, is_binary_ordered bit,
    is_fixed_length bit, prog_id nvarchar(40), assembly_qualified_name nvarchar(4000), is_table_type bit!`,
  asymmetric_keys: `${NAMED}, asymmetric_key_id int!, pvt_key_encryption_type char(2)!, pvt_key_encryption_type_desc nvarchar(60),
    thumbprint varbinary(32)!, algorithm char(2)!, algorithm_desc nvarchar(60), key_length int!`,
  certificates: `${NAMED}, certificate_id int!, pvt_key_encryption_type char(2)!, pvt_key_encryption_type_desc nvarchar(60),
    is_active_for_begin_dialog bit, issuer_name nvarchar(442), cert_serial_number nvarchar(64), subject nvarchar(4000),
    expiry_date datetime, start_date datetime, thumbprint varbinary(32)!`,
  column_encryption_keys: `name sysname!, column_encryption_key_id int!, ${DATED}`,
  column_master_keys: `name sysname!, column_master_key_id int!, ${DATED}, key_store_provider_name sysname, key_path nvarchar(4000),
    allow_enclave_computations bit, signature varbinary(max)`,
  event_notifications: `name sysname!, object_id int!, parent_class tinyint!, parent_class_desc nvarchar(60), parent_id int!,
    ${DATED}, service_name nvarchar(256), broker_instance nvarchar(128), creator_sid varbinary(85), principal_id int`,
  external_data_sources: `data_source_id int!, name sysname!, location nvarchar(4000)!, type_desc nvarchar(255), type tinyint!,
    credential_id int!`,
  external_file_formats: "file_format_id int!, name sysname!, format_type nvarchar(100)!",
  external_tables:
    "name sysname!, object_id int!, schema_id int!, data_source_id int!, file_format_id int, location nvarchar(4000)",
  fulltext_catalogs: `fulltext_catalog_id int!, name sysname!, path nvarchar(260), is_default bit!, is_accent_sensitivity_on bit!,
    data_space_id int, file_id int, principal_id int, is_importing bit!`,
  fulltext_indexes: `object_id int!, unique_index_id int!, fulltext_catalog_id int, is_enabled bit!, change_tracking_state char(1),
    change_tracking_state_desc nvarchar(60), has_crawl_completed bit!, stoplist_id int, data_space_id int!,
    property_list_id int`,
  fulltext_stoplists: `stoplist_id int!, name sysname!, ${DATED}, principal_id int`,
  partition_functions: `name sysname!, function_id int!, type char(2)!, type_desc nvarchar(60), fanout int!,
    boundary_value_on_right bit!, is_system bit!, ${DATED}`,
  periods: `name sysname!, period_type tinyint, period_type_desc nvarchar(60), object_id int!, start_column_id int!,
    end_column_id int!`,
  plan_guides: `plan_guide_id int!, name sysname!, ${DATED}, is_disabled bit!, query_text nvarchar(max), scope_type tinyint!,
    scope_type_desc nvarchar(60), scope_object_id int, scope_batch nvarchar(max), parameters nvarchar(max), hints nvarchar(max)`,
  registered_search_property_lists: `property_list_id int!, name sysname!, ${DATED}, principal_id int`,
  security_policies: `name sysname!, object_id int!, principal_id int, schema_id int!, parent_object_id int!, type varchar(2)!,
    type_desc nvarchar(60)!, ${DATED}, is_ms_shipped bit!, is_enabled bit!, is_not_for_replication bit!, is_schema_bound bit`,
  service_contracts: `${NAMED}, service_contract_id int!`,
  service_message_types: `${NAMED}, message_type_id int!, validation char(2)!, validation_desc nvarchar(60), xml_collection_id int`,
  service_queues: `name sysname!, object_id int!, principal_id int, schema_id int!, parent_object_id int!, type char(2)!,
    type_desc nvarchar(60), ${DATED}, is_ms_shipped bit!, max_readers smallint, activation_procedure nvarchar(776),
    execute_as_principal_id int, is_activation_enabled bit!, is_receive_enabled bit!, is_enqueue_enabled bit!,
    is_retention_enabled bit!, is_poison_message_handling_enabled bit`,
  services: `${NAMED}, service_id int!, service_queue_id int!`,
  symmetric_keys: `${NAMED}, symmetric_key_id int!, ${KEY}, key_guid uniqueidentifier, key_thumbprint sql_variant,
    provider_type nvarchar(60), cryptographic_provider_guid uniqueidentifier, cryptographic_provider_algid sql_variant`,
};

export function registerEmptyViews(engine: Engine): void {
  for (const [name, columns] of Object.entries(VIEWS)) engine.registerView(emptyView("sys", name, columns));
}
