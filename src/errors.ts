/**
 * The families of errors that cross a contract. Each has a stable `code`, says in its message what was being done, to what
 * and what the other side said, and in `advice` what to do now. The cause is kept. Messages never hold secrets.
 */
export abstract class DStreamError extends Error {
  abstract readonly code: string;
  /** What the operator can do about it: a sentence, or the exact T-SQL or setting. */
  readonly advice: string | undefined;
  /** It goes away by itself, or once something comes back: worth waiting for and trying again. */
  get transient(): boolean {
    return false;
  }
  constructor(message: string, options: { advice?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.advice = options.advice;
  }
}

/**
 * What the source database said, or failed to say.
 * - `unavailable`: a lost connection, a deadlock, a throttled or moving database: worth a retry, on a fresh connection.
 * - `table`: this table cannot be read until somebody acts (CDC switched off, permission, a bad start): the others go on.
 * - `fatal`: nothing can be read (login failed, no such database): the process stops.
 */
export class SourceError extends DStreamError {
  readonly code: "DSTREAM_SOURCE_UNAVAILABLE" | "DSTREAM_SOURCE_TABLE" | "DSTREAM_SOURCE_FATAL";
  readonly scope: "unavailable" | "table" | "fatal";
  /** The server's error number, where it gave one. */
  readonly number: number | undefined;
  constructor(
    scope: "unavailable" | "table" | "fatal",
    message: string,
    options: { advice?: string | undefined; cause?: unknown; number?: number | undefined } = {},
  ) {
    super(message, options);
    this.scope = scope;
    this.number = options.number;
    this.code = `DSTREAM_SOURCE_${scope.toUpperCase()}` as SourceError["code"];
  }

  override get transient(): boolean {
    return this.scope === "unavailable";
  }
}

/** Changes between two LSNs are gone: cleanup passed the checkpoint. */
export class GapError extends DStreamError {
  readonly code = "DSTREAM_GAP";
  /** Hexadecimal, 20 digits each. */
  readonly checkpointLsn: string;
  readonly lowWatermark: string;
  constructor(table: string, checkpointLsn: string, lowWatermark: string, advice: string) {
    super(
      `Changes of ${table} are gone: its checkpoint is at LSN ${checkpointLsn}, but CDC keeps only what is at or above ` +
        `${lowWatermark} (the low watermark of its capture instance).`,
      { advice },
    );
    this.checkpointLsn = checkpointLsn;
    this.lowWatermark = lowWatermark;
  }
}

/** The database's history is not the one that was read: a restore, or a failover that lost transactions. */
export class HistoryError extends DStreamError {
  readonly code = "DSTREAM_HISTORY";
}

/**
 * What a messaging system said.
 * - `unavailable`: worth waiting for, however long.
 * - `rejected`: this message, or this entity, will never be accepted as it is.
 * - `too_large`: the message is above the transport's hard limit.
 */
export class TransportError extends DStreamError {
  readonly code: "DSTREAM_TRANSPORT_UNAVAILABLE" | "DSTREAM_TRANSPORT_REJECTED" | "DSTREAM_TRANSPORT_TOO_LARGE";
  readonly reason: "unavailable" | "rejected" | "too_large";
  /** The id of the message that was refused, where the refusal is about one. */
  readonly messageId: string | undefined;
  constructor(
    reason: "unavailable" | "rejected" | "too_large",
    message: string,
    options: { advice?: string | undefined; cause?: unknown; messageId?: string | undefined } = {},
  ) {
    super(message, options);
    this.reason = reason;
    this.messageId = options.messageId;
    this.code = `DSTREAM_TRANSPORT_${reason.toUpperCase()}` as TransportError["code"];
  }

  override get transient(): boolean {
    return this.reason === "unavailable";
  }
}

/** Another owner has a newer fencing token: this one must stop touching the table. */
export class FencedError extends DStreamError {
  readonly code = "DSTREAM_FENCED";
}

/** Error and its causes as one line, for logs. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (
    let e: unknown = error;
    e !== undefined && e !== null && parts.length < 5;
    e = e instanceof Error ? e.cause : undefined
  ) {
    const text = e instanceof Error ? e.message || e.name : String(e);
    if (!parts.some((part) => part.includes(text))) parts.push(text);
  }
  return parts.map((part, i) => (i < parts.length - 1 ? part.replace(/\.$/, "") : part)).join(": ");
}

/** The same, and beneath it what to do: for people. */
export function explainError(error: unknown): string {
  const advice = error instanceof DStreamError && error.advice ? `\n${error.advice}` : "";
  return describeError(error) + advice;
}
