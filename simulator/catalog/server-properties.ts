/**
 * SERVERPROPERTY, DATABASEPROPERTYEX and @@VERSION's facts: a SQL Server 2022 Developer Edition.
 * https://learn.microsoft.com/sql/t-sql/functions/serverproperty-transact-sql
 */
import { hostname } from "node:os";
import { type Collation, collationOf } from "../engine/collations.ts";
import type { Engine } from "../engine/engine.ts";
import type { Database } from "../engine/storage.ts";
import { type SqlType, type Value, Variant } from "../engine/values.ts";
import { compatibilityLevel, isReadOnly, recoveryModel, userAccess } from "./databases.ts";

const INT: SqlType = { id: "int" };

function text(value: string): Variant {
  return new Variant({ id: "nvarchar", length: 128 }, value);
}

function number(value: number): Variant {
  return new Variant(INT, value);
}

type Property<Of> = (of: Of) => Value;

const SERVER: Record<string, Property<Engine>> = {
  buildclrversion: () => text("v4.0.30319"),
  collation: (engine) => text(engine.collation),
  collationid: () => number(872_468_488),
  comparisonstyle: () => number(196_609),
  computernamephysicalnetbios: () => text(hostname()),
  edition: () => text("Developer Edition (64-bit)"),
  editionid: () => new Variant({ id: "bigint" }, -2_117_995_310n),
  engineedition: () => number(3),
  filestreamconfiguredlevel: () => number(0),
  filestreameffectivelevel: () => number(0),
  filestreamsharename: () => text("MSSQLSERVER"),
  hadrmanagerstatus: () => number(2),
  instancedefaultbackuppath: () => text("/var/opt/mssql/data"),
  instancedefaultdatapath: () => text("/var/opt/mssql/data/"),
  instancedefaultlogpath: () => text("/var/opt/mssql/data/"),
  instancename: () => null,
  isadvancedanalyticsinstalled: () => number(0),
  isbigdatacluster: () => number(0),
  isclustered: () => number(0),
  isexternalauthenticationonly: () => number(0),
  isfulltextinstalled: () => number(0),
  ishadrenabled: () => number(0),
  isintegratedsecurityonly: () => number(0),
  islocaldb: () => number(0),
  ispolybaseinstalled: () => number(0),
  issingleuser: () => number(0),
  istempdbmetadatamemoryoptimized: () => number(0),
  isxtpsupported: () => number(1),
  lcid: () => number(1033),
  licensetype: () => text("DISABLED"),
  machinename: (engine) => text(engine.serverName.split("\\")[0]!),
  numlicenses: () => null,
  pathseparator: () => text("/"),
  processid: () => number(process.pid),
  productbuild: (engine) => text(engine.version.split(".")[2] ?? "0"),
  productbuildtype: () => null,
  productlevel: () => text("RTM"),
  productmajorversion: (engine) => text(engine.version.split(".")[0]!),
  productminorversion: (engine) => text(engine.version.split(".")[1] ?? "0"),
  productupdatelevel: () => null,
  productupdatereference: () => null,
  productversion: (engine) => text(engine.version),
  resourceversion: (engine) => text(engine.version),
  servername: (engine) => text(engine.serverName),
  sqlcharset: () => new Variant({ id: "tinyint" }, 1),
  sqlcharsetname: () => text("iso_1"),
  sqlsortorder: () => new Variant({ id: "tinyint" }, 52),
  sqlsortordername: () => text("nocase_iso"),
};

export function serverProperty(engine: Engine, name: string): Value {
  return SERVER[name.trimEnd().toLowerCase()]?.(engine) ?? null;
}

/** https://learn.microsoft.com/sql/t-sql/functions/databasepropertyex-transact-sql */
const DATABASE: Record<string, Property<Database>> = {
  collation: (database) => text(database.collation),
  comparisonstyle: () => number(196_609),
  edition: () => null,
  isansinulldefault: () => number(0),
  isansinullsenabled: () => number(0),
  isautoclose: () => number(0),
  isautocreatestatistics: () => number(1),
  isautoshrink: () => number(0),
  isautoupdatestatistics: () => number(1),
  isfulltextenabled: () => number(0),
  isinstandby: () => number(0),
  ispublished: () => number(0),
  isquotedidentifiersenabled: () => number(0),
  issyncwithbackup: () => number(0),
  lcid: (database) => number(collationOf(database.collation).lcid & 0xffff),
  recovery: (database) => text(recoveryModel(database)),
  serviceobjective: () => null,
  sqlsortorder: (database) => new Variant({ id: "tinyint" }, collationOf(database.collation).sortId),
  status: () => text("ONLINE"),
  updateability: (database) => text(isReadOnly(database) ? "READ_ONLY" : "READ_WRITE"),
  useraccess: (database) => text(userAccess(database)),
  version: (database) => number(compatibilityLevel(database) >= 160 ? 957 : 904),
};

export function databaseProperty(database: Database, name: string): Value {
  return DATABASE[name.trimEnd().toLowerCase()]?.(database) ?? null;
}

/**
 * https://learn.microsoft.com/sql/t-sql/functions/collation-functions-collationproperty-transact-sql: ComparisonStyle is 1 for
 * ignoring case, 2 accents, 65536 kana, 131072 width, added up; 0 for binary collations.
 */
const COLLATION: Record<string, Property<Collation>> = {
  codepage: ({ codePage }) => number(codePage),
  lcid: ({ lcid }) => number(lcid & 0xffff),
  comparisonstyle: (collation) =>
    number(
      collation.binary
        ? 0
        : Number(!collation.caseSensitive) +
            2 * Number(!collation.accentSensitive) +
            65_536 * Number(!collation.kanaSensitive) +
            131_072 * Number(!collation.widthSensitive),
    ),
  version: ({ version }) => new Variant({ id: "tinyint" }, version),
};

export function collationProperty(collation: Collation, name: string): Value {
  return COLLATION[name.trimEnd().toLowerCase()]?.(collation) ?? null;
}
