/** The demo's database: the seed's Persons, Cars, and a wide table with nearly every type, in a schema of its own. */

export interface DemoTable {
  schema: string;
  table: string;
  key: string;
  create: string;
}

export const DATABASE = "TestDB";

export const TABLES: readonly DemoTable[] = [
  {
    schema: "dbo",
    table: "Persons",
    key: "ID",
    create: `CREATE TABLE dbo.Persons (
  ID int NOT NULL PRIMARY KEY,
  FirstName nvarchar(50) NULL,
  LastName nvarchar(50) NOT NULL
)`,
  },
  {
    schema: "dbo",
    table: "Cars",
    key: "CarID",
    create: `CREATE TABLE dbo.Cars (
  CarID int NOT NULL PRIMARY KEY,
  OwnerID int NULL,
  Brand varchar(40) NOT NULL,
  Price money NOT NULL,
  Sold datetime2(3) NULL
)`,
  },
  {
    schema: "sales",
    table: "Orders",
    key: "OrderID",
    create: `CREATE TABLE sales.Orders (
  OrderID bigint NOT NULL PRIMARY KEY,
  Customer nvarchar(80) NOT NULL,
  Status varchar(12) NOT NULL,
  Quantity smallint NOT NULL,
  Priority tinyint NOT NULL,
  Paid bit NOT NULL,
  Amount decimal(12, 4) NOT NULL,
  Total money NOT NULL,
  Fee smallmoney NULL,
  Weight float NULL,
  Ratio real NULL,
  Ordered datetime2(7) NOT NULL,
  Shipped datetime NULL,
  Due date NULL,
  Slot time(3) NULL,
  Promised datetimeoffset(7) NULL,
  Entered smalldatetime NOT NULL,
  Reference uniqueidentifier NOT NULL,
  Code char(6) NOT NULL,
  Country nchar(2) NOT NULL,
  Signature varbinary(32) NULL,
  Note nvarchar(max) NULL,
  Extra xml NULL,
  Version rowversion
)`,
  },
];

/** What a user of SQL Server would run once: Microsoft's own procedures. */
export const SETUP: readonly string[] = [
  `CREATE DATABASE ${DATABASE}`,
  `USE ${DATABASE}`,
  "EXEC sys.sp_cdc_enable_db",
  "CREATE SCHEMA sales",
  ...TABLES.flatMap(({ schema, table, create }) => [
    create,
    `EXEC sys.sp_cdc_enable_table @source_schema = N'${schema}', @source_name = N'${table}', @role_name = NULL`,
  ]),
];
