/** Made-up people, with what names bring along: letters of many alphabets, quotes, a surrogate pair. */
export const FIRST = [
  "Diana",
  "Çağla",
  "Łukasz",
  "Zoë",
  "Ana",
  "Jürgen",
  "O'Neil",
  "李雷",
  "Søren",
  "Aïcha",
  "Тарас",
  "Eve 🚀",
];
export const LAST = [
  "Williams",
  "Müller",
  "García",
  "Ødegård",
  "Novák",
  "O'Connor",
  "Иванова",
  "Sato",
  "Smith",
  'Quote "Q" Back\\slash',
];
