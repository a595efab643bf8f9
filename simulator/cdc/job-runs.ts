/** When the jobs of a database ran, as SQL Server Agent remembers it until the server stops. */
import type { JobType } from "./job-settings.ts";

export type Outcome = "failed" | "succeeded" | "canceled";

export interface JobRun {
  /** Counts through all jobs of the server. */
  number: number;
  type: JobType;
  started: Date;
  /** Absent while it goes on. */
  ended?: Date;
  outcome?: Outcome;
}

/** Rows of history that Agent keeps for each job by default. */
const KEPT = 100;
let numbers = 0;

export class JobRuns {
  readonly list: JobRun[] = [];

  begin(type: JobType, started: Date): void {
    this.list.push({ number: ++numbers, type, started });
    const own = this.list.filter((run) => run.type === type);
    if (own.length > KEPT) this.list.splice(this.list.indexOf(own[0]!), 1);
  }

  end(type: JobType, ended: Date, outcome: Outcome): void {
    const run = this.last(type);
    if (run && !run.ended) Object.assign(run, { ended, outcome });
  }

  last(type: JobType): JobRun | undefined {
    return this.list.findLast((run) => run.type === type);
  }
}
