/** The type of a column, as the catalogue has it. */
export interface ColumnType {
  /** The system type's name, as in sys.types: `decimal`, `nvarchar`; `clr` for every CLR type. */
  readonly type: string;
  /** Bytes; -1 for max types. */
  readonly maxLength: number;
  /** Digits after the point, of decimals and of seconds. */
  readonly scale: number;
}

/** `type`, `maxLength` and `scale` as sys.columns has them, the first by its name in sys.types. */
export function columnType(type: unknown, maxLength: unknown, scale: unknown): ColumnType {
  // CLR types share one system type that has no row of its own in sys.types.
  return {
    type: (type as string | null)?.toLowerCase() ?? "clr",
    maxLength: maxLength as number,
    scale: scale as number,
  };
}
