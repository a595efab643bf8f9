/** Who keeps what is committed, so that it outlives the process (persistence/). An engine without one has its data in memory alone. */
import type { Entry, Table } from "./table.ts";

export interface Journal {
  /** A commit begins; commits inside it (capture's, in the commit that it captures) belong to it. */
  begin(): void;
  /** It wrote or deleted this row. */
  row(table: Table, entry: Entry): void;
  /** Something that is no row may be another: a table, a login, a job, an option. */
  definitionsChanged(): void;
  /** The commit is over, and durable when this returns. Throws if it could not be made so. */
  end(): void;
  /** Makes durable what was changed outside a commit. */
  settle(): void;
}
