/** What the person at the command line can put right: printed without a stack. */
export class UsageError extends Error {}
