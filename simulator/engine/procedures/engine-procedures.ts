/** Procedures that need the engine's inside: running texts, prepared statements, application locks. */

import { unsupported } from "../errors.ts";
import type { Argument, Caller } from "../statements/calls.ts";
import { applicationLock, releaseApplicationLock } from "./application-locks.ts";
import {
  changeByCursor,
  closeCursor,
  cursorOption,
  executeCursor,
  fetchCursor,
  openCursor,
  prepareAndExecuteCursor,
  prepareCursor,
  unprepareCursor,
} from "./cursors.ts";
import { describeFirstResultSet } from "./describe.ts";
import { addRoleMember, dropRoleMember, rename, setSessionContext } from "./maintenance.ts";
import { execute, executeSql, prepare, prepareAndExecute, resetConnection, unprepare } from "./prepared.ts";
import { sequenceGetRange } from "./sequence-range.ts";

export type EngineProcedure = (caller: Caller, args: Argument[]) => Promise<number>;

export const engineProcedures: ReadonlyMap<string, EngineProcedure> = new Map<string, EngineProcedure>([
  ["sp_executesql", executeSql],
  ["sp_prepare", prepare],
  ["sp_execute", execute],
  ["sp_prepexec", prepareAndExecute],
  ["sp_unprepare", unprepare],
  ["sp_reset_connection", resetConnection],
  ["sp_cursor", changeByCursor],
  ["sp_cursoropen", openCursor],
  ["sp_cursorprepare", prepareCursor],
  ["sp_cursorexecute", executeCursor],
  ["sp_cursorprepexec", prepareAndExecuteCursor],
  ["sp_cursorunprepare", unprepareCursor],
  ["sp_cursorfetch", fetchCursor],
  ["sp_cursoroption", cursorOption],
  ["sp_cursorclose", closeCursor],
  ["sp_describe_first_result_set", describeFirstResultSet],
  [
    "sp_describe_parameter_encryption",
    async () => {
      throw unsupported("sp_describe_parameter_encryption");
    },
  ],
  ["sp_getapplock", applicationLock],
  ["sp_releaseapplock", releaseApplicationLock],
  ["sp_addrolemember", addRoleMember],
  ["sp_droprolemember", dropRoleMember],
  ["sp_rename", rename],
  ["sp_set_session_context", setSessionContext],
  ["sp_sequence_get_range", sequenceGetRange],
]);
