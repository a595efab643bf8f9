/**
 * Collations by name: what the wire says of them (LCID, flags, version and sort id: MS-TDS 2.2.5.1.2), which code page their
 * char columns have, and what their comparisons ignore.
 *
 * Names: https://learn.microsoft.com/sql/t-sql/statements/windows-collation-name-transact-sql and
 * …/sql-server-collation-name-transact-sql; LCIDs: MS-LCID and "Collation and Unicode support".
 */
export interface Collation {
  readonly name: string;
  /** 20 bits: language and sort variant. */
  readonly lcid: number;
  /** The byte of flags of MS-TDS 2.2.5.1.2: the constants of `flag` below. */
  readonly flags: number;
  /** COLLATIONPROPERTY's Version: 0 (SQL Server 2000), 1 (_90), 2 (_100), 3 (_140). */
  readonly version: number;
  /** 0 for Windows collations. */
  readonly sortId: number;
  /** Of char, varchar and text: 1252, 932, …; 65001 for _UTF8; 0 for collations of Unicode columns only. */
  readonly codePage: number;
  readonly caseSensitive: boolean;
  readonly accentSensitive: boolean;
  readonly kanaSensitive: boolean;
  readonly widthSensitive: boolean;
  /** _BIN compares the first character by code point and the rest by byte; _BIN2 all by code point. */
  readonly binary: false | "BIN" | "BIN2";
  readonly utf8: boolean;
  /** _SC and the _140 collations: a surrogate pair is one character to LEN and its kin. */
  readonly supplementary: boolean;
  /** The five bytes on the wire. */
  readonly bytes: Buffer;
}

const flag = {
  ignoreCase: 1,
  ignoreAccent: 2,
  ignoreWidth: 4,
  ignoreKana: 8,
  binary: 16,
  binary2: 32,
  utf8: 64,
} as const;

/** A designator's LCID, code page (0: Unicode only) and the versions it exists in ("" is the oldest). */
type Designator = readonly [lcid: number, codePage: number, versions: string];

const DESIGNATORS: Record<string, Designator> = {
  Albanian: [0x041c, 1250, " 100"],
  Arabic: [0x0401, 1256, " 100"],
  Assamese: [0x044d, 0, "100"],
  Azeri_Cyrillic: [0x082c, 1251, "100"],
  Azeri_Latin: [0x042c, 1254, "100"],
  Bashkir: [0x046d, 1251, "100"],
  Bengali: [0x0445, 0, "100"],
  Bosnian_Cyrillic: [0x201a, 1251, "100"],
  Bosnian_Latin: [0x141a, 1250, "100"],
  Breton: [0x047e, 1252, "100"],
  Chinese_Hong_Kong_Stroke: [0x0c04, 950, "90"],
  Chinese_PRC: [0x0804, 936, " 90"],
  Chinese_PRC_Stroke: [0x20804, 936, " 90"],
  Chinese_Simplified_Pinyin: [0x0804, 936, "100"],
  Chinese_Simplified_Stroke_Order: [0x20804, 936, "100"],
  Chinese_Taiwan_Bopomofo: [0x30404, 950, " 90"],
  Chinese_Taiwan_Stroke: [0x0404, 950, " 90"],
  Chinese_Traditional_Bopomofo: [0x30404, 950, "100"],
  Chinese_Traditional_Pinyin: [0x21404, 950, "100"],
  Chinese_Traditional_Stroke_Count: [0x0c04, 950, "100"],
  Chinese_Traditional_Stroke_Order: [0x0404, 950, "100"],
  Corsican: [0x0483, 1252, "100"],
  Croatian: [0x041a, 1250, " 100"],
  Cyrillic_General: [0x0419, 1251, " 100"],
  Czech: [0x0405, 1250, " 100"],
  Danish_Greenlandic: [0x0406, 1252, "100"],
  Danish_Norwegian: [0x0406, 1252, ""],
  Dari: [0x048c, 1256, "100"],
  Divehi: [0x0465, 0, "90 100"],
  Estonian: [0x0425, 1257, " 100"],
  Finnish_Swedish: [0x040b, 1252, " 100"],
  French: [0x040c, 1252, " 100"],
  Frisian: [0x0462, 1252, "100"],
  Georgian_Modern_Sort: [0x10437, 1252, " 100"],
  German_PhoneBook: [0x10407, 1252, " 100"],
  Greek: [0x0408, 1253, " 100"],
  Hebrew: [0x040d, 1255, " 100"],
  Hungarian: [0x040e, 1250, " 100"],
  Hungarian_Technical: [0x1040e, 1250, " 100"],
  Icelandic: [0x040f, 1252, " 100"],
  Indic_General: [0x0439, 0, "90 100"],
  Japanese: [0x0411, 932, " 90"],
  Japanese_Bushu_Kakusu: [0x40411, 932, "100 140"],
  Japanese_Unicode: [0x10411, 932, ""],
  Japanese_XJIS: [0x0411, 932, "100 140"],
  Kazakh: [0x043f, 1251, "90 100"],
  Khmer: [0x0453, 0, "100"],
  Korean: [0x0412, 949, "90 100"],
  Korean_Wansung: [0x0412, 949, ""],
  Lao: [0x0454, 0, "100"],
  Latin1_General: [0x0409, 1252, " 100"],
  Latvian: [0x0426, 1257, " 100"],
  Lithuanian: [0x0427, 1257, " 100"],
  Macedonian_FYROM: [0x042f, 1251, " 90 100"],
  Maltese: [0x043a, 0, "100"],
  Maori: [0x0481, 0, "100"],
  Mapudungan: [0x047a, 1252, "100"],
  Modern_Spanish: [0x0c0a, 1252, " 100"],
  Mohawk: [0x047c, 1252, "100"],
  Nepali: [0x0461, 0, "100"],
  Norwegian: [0x0414, 1252, "100"],
  Pashto: [0x0463, 0, "100"],
  Persian: [0x0429, 1256, "100"],
  Polish: [0x0415, 1250, " 100"],
  Romanian: [0x0418, 1250, " 100"],
  Romansh: [0x0417, 1252, "100"],
  Sami_Norway: [0x043b, 1252, "100"],
  Sami_Sweden_Finland: [0x083b, 1252, "100"],
  Serbian_Cyrillic: [0x0c1a, 1251, "100"],
  Serbian_Latin: [0x081a, 1250, "100"],
  Slovak: [0x041b, 1250, " 100"],
  Slovenian: [0x0424, 1250, " 100"],
  Syriac: [0x045a, 0, "90 100"],
  Tamazight: [0x085f, 1252, "100"],
  Tatar: [0x0444, 1251, "90 100"],
  Thai: [0x041e, 874, " 100"],
  Tibetan: [0x0451, 0, "100"],
  Traditional_Spanish: [0x040a, 1252, " 100"],
  Turkish: [0x041f, 1254, " 100"],
  Turkmen: [0x0442, 1250, "100"],
  Uighur: [0x0480, 1256, "100"],
  Ukrainian: [0x0422, 1251, " 100"],
  Upper_Sorbian: [0x042e, 1252, "100"],
  Urdu: [0x0420, 1256, "100"],
  Uzbek_Latin: [0x0443, 1254, "90 100"],
  Vietnamese: [0x042a, 1258, " 100"],
  Welsh: [0x0452, 1252, "100"],
  Yakut: [0x0485, 1251, "100"],
};

const VERSIONS: Record<string, number> = { "": 0, "90": 1, "100": 2, "140": 3 };

/** SQL collations without their prefix SQL_: LCID and sort id; the code page is in the name. */
const SQL_COLLATIONS: Record<string, readonly [lcid: number, sortId: number]> = {
  Latin1_General_CP437_BIN: [0x0409, 30],
  Latin1_General_CP437_CS_AS: [0x0409, 31],
  Latin1_General_CP437_CI_AS: [0x0409, 32],
  Latin1_General_Pref_CP437_CI_AS: [0x0409, 33],
  Latin1_General_CP437_CI_AI: [0x0409, 34],
  Latin1_General_CP850_BIN: [0x0409, 40],
  Latin1_General_CP850_CS_AS: [0x0409, 41],
  Latin1_General_CP850_CI_AS: [0x0409, 42],
  Latin1_General_Pref_CP850_CI_AS: [0x0409, 43],
  Latin1_General_CP850_CI_AI: [0x0409, 44],
  "1xCompat_CP850_CI_AS": [0x0409, 49],
  Latin1_General_CP1_CS_AS: [0x0409, 51],
  Latin1_General_CP1_CI_AS: [0x0409, 52],
  Latin1_General_Pref_CP1_CI_AS: [0x0409, 53],
  Latin1_General_CP1_CI_AI: [0x0409, 54],
  AltDiction_CP850_CS_AS: [0x0409, 55],
  AltDiction_Pref_CP850_CI_AS: [0x0409, 56],
  AltDiction_CP850_CI_AI: [0x0409, 57],
  Scandinavian_Pref_CP850_CI_AS: [0x0409, 58],
  Scandinavian_CP850_CS_AS: [0x0409, 59],
  Scandinavian_CP850_CI_AS: [0x0409, 60],
  AltDiction_CP850_CI_AS: [0x0409, 61],
  Latin1_General_CP1250_CS_AS: [0x0409, 81],
  Latin1_General_CP1250_CI_AS: [0x0409, 82],
  Czech_CP1250_CS_AS: [0x0405, 83],
  Czech_CP1250_CI_AS: [0x0405, 84],
  Hungarian_CP1250_CS_AS: [0x040e, 85],
  Hungarian_CP1250_CI_AS: [0x040e, 86],
  Polish_CP1250_CS_AS: [0x0415, 87],
  Polish_CP1250_CI_AS: [0x0415, 88],
  Romanian_CP1250_CS_AS: [0x0418, 89],
  Romanian_CP1250_CI_AS: [0x0418, 90],
  Croatian_CP1250_CS_AS: [0x041a, 91],
  Croatian_CP1250_CI_AS: [0x041a, 92],
  Slovak_CP1250_CS_AS: [0x041b, 93],
  Slovak_CP1250_CI_AS: [0x041b, 94],
  Slovenian_CP1250_CS_AS: [0x0424, 95],
  Slovenian_CP1250_CI_AS: [0x0424, 96],
  Latin1_General_CP1251_CS_AS: [0x0409, 105],
  Latin1_General_CP1251_CI_AS: [0x0409, 106],
  Ukrainian_CP1251_CS_AS: [0x0422, 107],
  Ukrainian_CP1251_CI_AS: [0x0422, 108],
  Latin1_General_CP1253_CS_AS: [0x0409, 113],
  Latin1_General_CP1253_CI_AS: [0x0409, 114],
  MixDiction_CP1253_CS_AS: [0x0409, 120],
  AltDiction_CP1253_CS_AS: [0x0409, 121],
  AltDiction2_CP1253_CS_AS: [0x0409, 122],
  Latin1_General_CP1253_CI_AI: [0x0409, 124],
  Latin1_General_CP1254_CS_AS: [0x0409, 129],
  Latin1_General_CP1254_CI_AS: [0x0409, 130],
  Latin1_General_CP1255_CS_AS: [0x0409, 137],
  Latin1_General_CP1255_CI_AS: [0x0409, 138],
  Latin1_General_CP1256_CS_AS: [0x0409, 145],
  Latin1_General_CP1256_CI_AS: [0x0409, 146],
  Latin1_General_CP1257_CS_AS: [0x0409, 153],
  Latin1_General_CP1257_CI_AS: [0x0409, 154],
  Estonian_CP1257_CS_AS: [0x0425, 155],
  Estonian_CP1257_CI_AS: [0x0425, 156],
  Latvian_CP1257_CS_AS: [0x0426, 157],
  Latvian_CP1257_CI_AS: [0x0426, 158],
  Lithuanian_CP1257_CS_AS: [0x0427, 159],
  Lithuanian_CP1257_CI_AS: [0x0427, 160],
  Danish_Pref_CP1_CI_AS: [0x0406, 183],
  SwedishPhone_Pref_CP1_CI_AS: [0x040b, 184],
  SwedishStd_Pref_CP1_CI_AS: [0x040b, 185],
  Icelandic_Pref_CP1_CI_AS: [0x040f, 186],
  EBCDIC037_CP1_CS_AS: [0x0409, 210],
  EBCDIC273_CP1_CS_AS: [0x0409, 211],
  EBCDIC277_CP1_CS_AS: [0x0409, 212],
  EBCDIC278_CP1_CS_AS: [0x0409, 213],
  EBCDIC280_CP1_CS_AS: [0x0409, 214],
  EBCDIC284_CP1_CS_AS: [0x0409, 215],
  EBCDIC285_CP1_CS_AS: [0x0409, 216],
  EBCDIC297_CP1_CS_AS: [0x0409, 217],
};

/** The collation of a server set up for English (United States), which most servers have. */
export const DEFAULT_COLLATION = "SQL_Latin1_General_CP1_CI_AS";

const STYLE = /^(?:(BIN|BIN2)|(C[IS])_(A[IS])(_KS)?(_WS)?(_VSS)?(_SC)?)(_UTF8)?$/;

const windowsDesignators = new Map(Object.keys(DESIGNATORS).map((name) => [name.toLowerCase(), name]));
const sqlNames = new Map(Object.keys(SQL_COLLATIONS).map((name) => [name.toLowerCase(), name]));
const known = new Map<string, Collation | null>();

/** By name, in any case; undefined when there is no such collation. */
export function findCollation(name: string): Collation | undefined {
  const key = name.toLowerCase();
  let found = known.get(key);
  if (found === undefined) {
    found = (key.startsWith("sql_") ? sqlCollation(key.slice(4)) : windowsCollation(name)) ?? null;
    // Names come from clients too: what is remembered has an end.
    if (known.size < 10_000) known.set(key, found);
  }
  return found ?? undefined;
}

/** As findCollation, for a name that was checked before. */
export function collationOf(name: string | undefined): Collation {
  const found = findCollation(name ?? DEFAULT_COLLATION);
  if (!found) throw new Error(`no such collation: ${name}`);
  return found;
}

/** The collation that five bytes on the wire stand for; unknown ones are read as the default. */
export function collationFromBytes(bytes: Uint8Array): Collation {
  const word = (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
  const sortId = bytes[4]!;
  const key = word * 256 + sortId;
  let found = byBytes.get(key);
  if (!found) {
    found = nameFromBytes(word, sortId) ?? collationOf(DEFAULT_COLLATION);
    byBytes.set(key, found);
  }
  return found;
}

const byBytes = new Map<number, Collation>();

function sqlCollation(key: string): Collation | undefined {
  const rest = sqlNames.get(key);
  if (rest === undefined) return undefined;
  const [lcid, sortId] = SQL_COLLATIONS[rest]!;
  const [, page, style] = /_CP(\d+)_(.+)$/.exec(rest)!;
  return build(`SQL_${rest}`, lcid, 0, sortId, page === "1" ? 1252 : Number(page), STYLE.exec(style!)!);
}

function windowsCollation(name: string): Collation | undefined {
  const parts = /^(.+?)(?:_(90|100|140))?_((?:bin|c[is]_a[is]).*)$/i.exec(name);
  if (!parts) return undefined;
  const designator = windowsDesignators.get(parts[1]!.toLowerCase());
  const style = STYLE.exec(parts[3]!.toUpperCase());
  if (designator === undefined || !style) return undefined;
  const [lcid, codePage, versions] = DESIGNATORS[designator]!;
  const suffix = parts[2] ?? "";
  if (!versions.split(" ").includes(suffix)) return undefined;
  const version = VERSIONS[suffix]!;
  const [, bin, , , , , vss, sc, utf8] = style;
  if (vss && version < 3) return undefined;
  // _SC came with SQL Server 2012, for _90 and _100 collations; _140 ones have it without saying so.
  if (sc && (version === 0 || version === 3)) return undefined;
  // https://learn.microsoft.com/sql/relational-databases/collations/collation-and-unicode-support#utf8
  if (utf8 && !(bin === "BIN2" || version === 3 || sc)) return undefined;
  if (utf8 && version < 2) return undefined;
  const canonical = `${designator}${suffix && `_${suffix}`}_${parts[3]!.toUpperCase()}`;
  return build(canonical, lcid, version, 0, codePage, style);
}

function build(name: string, lcid: number, version: number, sortId: number, page: number, style: RegExpExecArray) {
  const [, bin, cs, as, ks, ws, , sc, utf8] = style;
  let flags = utf8 ? flag.utf8 : 0;
  if (bin) flags |= bin === "BIN2" ? flag.binary2 : flag.binary;
  else {
    flags |= cs === "CI" ? flag.ignoreCase : 0;
    flags |= as === "AI" ? flag.ignoreAccent : 0;
    flags |= ws ? 0 : flag.ignoreWidth;
    flags |= ks ? 0 : flag.ignoreKana;
  }
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32LE(((version << 28) | (flags << 20) | lcid) >>> 0, 0);
  bytes[4] = sortId;
  const collation: Collation = {
    name,
    lcid,
    flags,
    version,
    sortId,
    codePage: utf8 ? 65001 : page,
    caseSensitive: !(flags & flag.ignoreCase),
    accentSensitive: !(flags & flag.ignoreAccent),
    kanaSensitive: !(flags & flag.ignoreKana),
    widthSensitive: !(flags & flag.ignoreWidth),
    binary: bin ? (bin as "BIN" | "BIN2") : false,
    utf8: utf8 !== undefined,
    supplementary: sc !== undefined || version === 3,
    bytes,
  };
  return collation;
}

function nameFromBytes(word: number, sortId: number): Collation | undefined {
  const lcid = word & 0xfffff;
  const flags = (word >>> 20) & 0xff;
  const version = word >>> 28;
  if (sortId !== 0) {
    const name = Object.keys(SQL_COLLATIONS).find((candidate) => SQL_COLLATIONS[candidate]![1] === sortId);
    return name === undefined ? undefined : findCollation(`SQL_${name}`);
  }
  const suffix = Object.keys(VERSIONS).find((candidate) => VERSIONS[candidate] === version);
  // A client may send a bare LCID of a language; the designator matters less than the code page and the flags.
  const matches = Object.keys(DESIGNATORS).filter((name) => DESIGNATORS[name]![0] === lcid);
  const exact = matches.find((name) => suffix !== undefined && DESIGNATORS[name]![2].split(" ").includes(suffix));
  const designator = exact ?? matches[0];
  if (designator === undefined) return undefined;
  const prefix = exact === undefined ? withNewestVersion(designator) : suffix ? `${exact}_${suffix}` : exact;
  const utf8 = flags & flag.utf8 ? "_UTF8" : "";
  if (flags & flag.binary2) return findCollation(`${prefix}_BIN2${utf8}`);
  if (flags & flag.binary) return findCollation(`${prefix}_BIN`);
  const style = `${flags & flag.ignoreCase ? "CI" : "CS"}_${flags & flag.ignoreAccent ? "AI" : "AS"}`;
  const kana = flags & flag.ignoreKana ? "" : "_KS";
  const width = flags & flag.ignoreWidth ? "" : "_WS";
  const supplementary = utf8 && version < 3 ? "_SC" : "";
  return findCollation(`${prefix}_${style}${kana}${width}${supplementary}${utf8}`);
}

function withNewestVersion(designator: string): string {
  const newest = DESIGNATORS[designator]![2].split(" ").at(-1)!;
  return newest ? `${designator}_${newest}` : designator;
}

/** All names, for sys.fn_helpcollations: of the Windows collations those without _KS, _WS and _VSS. */
export function collationNames(): string[] {
  const styles = [
    "BIN",
    "BIN2",
    "CI_AI",
    "CI_AS",
    "CS_AI",
    "CS_AS",
    "CI_AS_SC",
    "CS_AS_SC",
    "CI_AS_SC_UTF8",
    "BIN2_UTF8",
  ];
  const windows = Object.entries(DESIGNATORS).flatMap(([name, [, , versions]]) =>
    versions.split(" ").flatMap((suffix) => styles.map((style) => `${name}${suffix && `_${suffix}`}_${style}`)),
  );
  const sql = Object.keys(SQL_COLLATIONS).map((name) => `SQL_${name}`);
  return [...windows, ...sql].filter((name) => findCollation(name) !== undefined).sort();
}
