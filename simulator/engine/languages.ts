/** The languages that a session can have: their names and what they say of dates. https://learn.microsoft.com/sql/relational-databases/system-compatibility-views/sys-syslanguages-transact-sql */
export interface Language {
  language: string;
  dateFormat: string;
  dateFirst: number;
}

const AMERICAN: Language = { language: "us_english", dateFormat: "mdy", dateFirst: 7 };
const BRITISH: Language = { language: "British", dateFormat: "dmy", dateFirst: 1 };
const LANGUAGES: Record<string, Language> = {
  us_english: AMERICAN,
  english: AMERICAN,
  british: BRITISH,
  "british english": BRITISH,
};

/** By name or alias, whatever the case. */
export function languageOf(name: string): Language | undefined {
  return LANGUAGES[name.toLowerCase()];
}
