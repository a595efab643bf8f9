/** What SET sets for a session. https://learn.microsoft.com/sql/t-sql/statements/set-statements-transact-sql */

export interface SessionOptions {
  nocount: boolean;
  xactAbort: boolean;
  implicitTransactions: boolean;
  /** Milliseconds; -1 for ever. */
  lockTimeout: number;
  deadlockPriority: number;
  rowCount: number;
  dateFirst: number;
  dateFormat: string;
  language: string;
  textSize: number;
  ansiNulls: boolean;
  ansiPadding: boolean;
  ansiWarnings: boolean;
  arithAbort: boolean;
  concatNullYieldsNull: boolean;
  quotedIdentifier: boolean;
  numericRoundAbort: boolean;
  formatOnly: boolean;
  cursorCloseOnCommit: boolean;
}

/** The options that SET switches. */
export type BooleanOption = {
  [K in keyof SessionOptions]: SessionOptions[K] extends boolean ? K : never;
}[keyof SessionOptions];

export function defaultOptions(): SessionOptions {
  return {
    nocount: false,
    xactAbort: false,
    implicitTransactions: false,
    lockTimeout: -1,
    deadlockPriority: 0,
    rowCount: 0,
    dateFirst: 7,
    dateFormat: "mdy",
    language: "us_english",
    textSize: 2_147_483_647,
    ansiNulls: true,
    ansiPadding: true,
    ansiWarnings: true,
    arithAbort: true,
    concatNullYieldsNull: true,
    quotedIdentifier: true,
    numericRoundAbort: false,
    formatOnly: false,
    cursorCloseOnCommit: false,
  };
}
