/**
 * System views, procedures and functions by name (registry.ts has their shapes). The engine has one such directory for what
 * exists in every database, and each database one for its own (cdc.fn_cdc_get_all_changes_…), which is looked at first.
 */
import type { SystemFunction, SystemProcedure, SystemTableFunction, SystemView } from "./registry.ts";

export class SystemObjects<Context> {
  readonly views = new Map<string, SystemView<Context>>();
  readonly procedures = new Map<string, SystemProcedure<Context>>();
  readonly functions = new Map<string, SystemFunction<Context>>();
  readonly tableFunctions = new Map<string, SystemTableFunction<Context>>();

  registerView(view: SystemView<Context>): void {
    this.views.set(key(view.schema, view.name), view);
  }

  registerProcedure(procedure: SystemProcedure<Context>): void {
    this.procedures.set(key(procedure.schema, procedure.name), procedure);
  }

  registerFunction(fn: SystemFunction<Context>): void {
    this.functions.set(key(fn.schema ?? "", fn.name), fn);
  }

  registerTableFunction(fn: SystemTableFunction<Context>): void {
    this.tableFunctions.set(key(fn.schema, fn.name), fn);
  }

  /** Takes whatever has that name away. */
  unregister(schema: string, name: string): void {
    for (const map of [this.views, this.procedures, this.functions, this.tableFunctions]) map.delete(key(schema, name));
  }

  view(schema: string, name: string): SystemView<Context> | undefined {
    return this.views.get(key(schema, name));
  }
  procedure(schema: string, name: string): SystemProcedure<Context> | undefined {
    return this.procedures.get(key(schema, name));
  }
  function(schema: string, name: string): SystemFunction<Context> | undefined {
    return this.functions.get(key(schema, name));
  }
  tableFunction(schema: string, name: string): SystemTableFunction<Context> | undefined {
    return this.tableFunctions.get(key(schema, name));
  }
}

function key(schema: string, name: string): string {
  return `${schema}.${name}`.toLowerCase();
}
