/** Transactions in T-SQL and by the client's own requests. */
import type { Scenario } from "../scenario.ts";
import { fails, rows, run } from "./steps.ts";

const table = run("CREATE TABLE dbo.t (id int NOT NULL CONSTRAINT PK_t PRIMARY KEY)");
const count = (n: number) => rows("SELECT COUNT(*) FROM dbo.t", [[n]]);

export const transactions: Scenario[] = [
  {
    name: "commits and rolls back in T-SQL, nested and to a savepoint",
    steps: [
      table,
      run("BEGIN TRANSACTION; INSERT INTO dbo.t VALUES (1); COMMIT TRANSACTION"),
      run("BEGIN TRAN; INSERT INTO dbo.t VALUES (2); ROLLBACK"),
      count(1),
      rows("BEGIN TRAN; BEGIN TRAN; COMMIT; SELECT @@TRANCOUNT, XACT_STATE(); ROLLBACK", [[1, 1]]),
      run(
        "BEGIN TRAN; INSERT INTO dbo.t VALUES (3); SAVE TRANSACTION here; INSERT INTO dbo.t VALUES (4); ROLLBACK TRANSACTION here; INSERT INTO dbo.t VALUES (5); COMMIT",
      ),
      rows("SELECT id FROM dbo.t ORDER BY id", [[1], [3], [5]]),
      fails("COMMIT", 3902, {
        severity: 16,
        state: 1,
        message: "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.",
      }),
      fails("ROLLBACK", 3903, {
        message: "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.",
      }),
    ],
  },
  {
    name: "undoes DDL with its transaction",
    steps: [
      run("BEGIN TRAN; CREATE TABLE dbo.gone (id int); ALTER TABLE dbo.gone ADD more int; ROLLBACK"),
      fails("SELECT * FROM dbo.gone", 208, {
        severity: 16,
        state: 1,
        line: 1,
        message: "Invalid object name 'dbo.gone'.",
      }),
    ],
  },
  {
    name: "rolls back at once under XACT_ABORT, and dooms a transaction in TRY",
    steps: [
      table,
      fails("SET XACT_ABORT ON; BEGIN TRAN; INSERT INTO dbo.t VALUES (1); INSERT INTO dbo.t VALUES (1); COMMIT", 2627),
      rows("SELECT @@TRANCOUNT, COUNT(*) FROM dbo.t", [[0, 0]]),
      rows(
        "SET XACT_ABORT ON; BEGIN TRY BEGIN TRAN; INSERT INTO dbo.t VALUES (1); INSERT INTO dbo.t VALUES (1); COMMIT END TRY BEGIN CATCH SELECT XACT_STATE(), @@TRANCOUNT; ROLLBACK; END CATCH",
        [[-1, 1]],
      ),
      count(0),
    ],
  },
  {
    name: "commits and rolls back by the client's own transactions",
    needs: ["transactions"],
    steps: [
      table,
      { do: "begin" },
      run("INSERT INTO dbo.t VALUES (1)"),
      { do: "commit" },
      { do: "begin" },
      run("INSERT INTO dbo.t VALUES (2)"),
      run("SAVE TRANSACTION s"),
      run("INSERT INTO dbo.t VALUES (3)"),
      run("ROLLBACK TRANSACTION s"),
      count(2),
      { do: "rollback" },
      count(1),
      { do: "begin", isolation: "serializable" },
      run("INSERT INTO dbo.t VALUES (4)"),
      { do: "commit" },
      rows("SELECT id FROM dbo.t ORDER BY id", [[1], [4]]),
    ],
  },
  {
    name: "runs under every isolation level",
    needs: ["transactions"],
    steps: [
      table,
      run(
        "DECLARE @s nvarchar(200) = N'ALTER DATABASE [' + DB_NAME() + N'] SET ALLOW_SNAPSHOT_ISOLATION ON'; EXEC (@s)",
      ),
      ...(["read committed", "repeatable read", "serializable", "snapshot"] as const).flatMap((isolation, i) => [
        { do: "begin" as const, isolation },
        rows("SELECT transaction_isolation_level FROM sys.dm_exec_sessions WHERE session_id = @@SPID", [[i + 2]]),
        run(`INSERT INTO dbo.t VALUES (${i})`),
        { do: "commit" as const },
      ]),
      count(4),
    ],
  },
  {
    name: "sets the isolation level in T-SQL, and reads with table hints",
    steps: [
      table,
      run("SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED"),
      run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; BEGIN TRAN; INSERT INTO dbo.t VALUES (1); COMMIT"),
      rows("SELECT id FROM dbo.t WITH (NOLOCK)", [[1]]),
      rows("SELECT id FROM dbo.t t WITH (UPDLOCK, HOLDLOCK, ROWLOCK) WHERE id = 1 OPTION (RECOMPILE)", [[1]]),
      run("UPDATE dbo.t WITH (TABLOCKX) SET id = 2"),
      rows("SELECT id FROM dbo.t WITH (READPAST)", [[2]]),
    ],
  },
];
