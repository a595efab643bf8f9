/**
 * The faults for programs that can only speak T-SQL to the simulator. For sysadmins, in every database:
 *
 *     EXEC simulator.fail_statements @number = 1205, @containing = N'UPDATE dbo.Persons', @after = 2, @times = 1
 *     EXEC simulator.fail_logins @number = 40613, @times = 3
 *     EXEC simulator.set_network @drop_after = 20000, @seconds = 5
 *     EXEC simulator.fail_over @seconds = 5        -- the connection that asks stays
 *     EXEC simulator.heal
 */
import { procedure } from "../catalog/define.ts";
import type { Engine, EngineContext } from "../engine/engine.ts";
import { SqlError } from "../engine/session.ts";
import type { Value } from "../engine/values.ts";
import type { Faults } from "./faults.ts";
import { isServerError, SERVER_ERRORS, type ServerErrorNumber } from "./server-errors.ts";

type Args = Map<string, Value>;

export function registerFaultProcedures(engine: Engine, faults: Faults): void {
  const define = (
    name: string,
    parameters: string,
    run: (args: Args, context: EngineContext) => void | Promise<void>,
  ) =>
    engine.registerProcedure(
      procedure("simulator", name, parameters, async (context, args) => {
        if (!context.session.login.sysadmin)
          throw new SqlError(15247, "User does not have permission to perform this action.", 16, 1);
        await run(args, context);
        return 0;
      }),
    );

  const fault = "@number int, @after int = NULL, @times int = NULL";
  define("fail_statements", `${fault}, @containing nvarchar(4000) = NULL, @close bit = NULL`, (args) => {
    const containing = args.get("@containing") as string | null;
    const close = args.get("@close") as boolean | null;
    faults.failStatements({
      ...counted(args),
      ...(containing !== null && { when: ({ text }) => text.toLowerCase().includes(containing.toLowerCase()) }),
      ...(close !== null && { closes: close }),
    });
  });
  define("fail_logins", fault, (args) => faults.failLogins(counted(args)));
  define(
    "set_network",
    "@drop_after int = NULL, @stall_after int = NULL, @split_every int = NULL, @bytes_per_second int = NULL, @spid int = NULL, @seconds int = NULL",
    (args) => {
      const number = (name: string) => (args.get(name) ?? undefined) as number | undefined;
      const seconds = number("@seconds");
      faults.network(
        {
          dropAfter: number("@drop_after"),
          stallAfter: number("@stall_after"),
          splitEvery: number("@split_every"),
          bytesPerSecond: number("@bytes_per_second"),
        },
        { spid: number("@spid"), milliseconds: seconds === undefined ? undefined : seconds * 1000 },
      );
    },
  );
  define("fail_over", "@seconds int = NULL, @number int = NULL", (args, { session }) => {
    const seconds = args.get("@seconds") as number | null;
    const number = args.get("@number") as number | null;
    faults.failOver(
      { ...(seconds !== null && { milliseconds: seconds * 1000 }), ...(number !== null && { error: known(number) }) },
      session.spid,
    );
  });
  define("heal", "", () => faults.heal());
}

function counted(args: Args): { error: ServerErrorNumber; after: number; times: number } {
  return {
    error: known(args.get("@number") as number),
    after: (args.get("@after") as number | null) ?? 0,
    times: (args.get("@times") as number | null) ?? 1,
  };
}

function known(number: number): ServerErrorNumber {
  if (isServerError(number)) return number;
  throw new SqlError(
    50000,
    `The simulator knows no error ${number} to raise; it knows ${Object.keys(SERVER_ERRORS).join(", ")}.`,
  );
}
