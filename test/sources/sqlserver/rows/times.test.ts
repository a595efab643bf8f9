/** Byte vectors worked out by hand from MS-TDS 2.2.5.5.1.8. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as tds from "../wire/token-writer.ts";
import { written } from "./change-table.ts";

const date = tds.byteLength(0x28);
const time = (scale: number) => tds.byteLength(0x29, scale);
const datetime2 = (scale: number) => tds.byteLength(0x2a, scale);
const datetimeoffset = (scale: number) => tds.byteLength(0x2b, scale);
const datetimeN = (bytes: number) => tds.byteLength(0x6f, bytes);

test("a date is three bytes of days since 0001-01-01", () => {
  for (const [hex, text] of [
    ["000000", "0001-01-01"],
    // 3652058 = 0x37b9da
    ["dab937", "9999-12-31"],
    // 1900-01-01 is day 693595 = 0x0a955b
    ["5b950a", "1900-01-01"],
    // 2026-11-21 is 46345 days after it: 739940 = 0x0b4a64
    ["644a0b", "2026-11-21"],
    // Leap days: 2000-02-29 is day 730178 = 0x0b2442; 1900-02-28 is followed by 1900-03-01.
    ["42240b", "2000-02-29"],
    ["95950a", "1900-02-28"],
    ["96950a", "1900-03-01"],
    ["3b0000", "0001-03-01"],
  ] as const)
    assert.equal(written(date, hex), `"${text}"`);
  assert.equal(written(date, null), "null");
  assert.throws(() => written(date, "dbb937"), /a day up to 9999-12-31/);
});

test("a time has as many digits as its scale, in 3, 4 or 5 bytes", () => {
  // 10:11:12 is 36672 s after midnight; 36672.1234567 s in units of 10^-n s:
  for (const [scale, hex, text] of [
    [0, "408f00", "10:11:12"],
    [1, "819805", "10:11:12.1"],
    [2, "0cf537", "10:11:12.12"],
    [3, "7b922f02", "10:11:12.123"],
    [4, "d2b8db15", "10:11:12.1234"],
    [5, "393895da00", "10:11:12.12345"],
    [6, "4032d48908", "10:11:12.123456"],
    [7, "87f6496255", "10:11:12.1234567"],
    // 23:59:59 and all nines
    [0, "7f5101", "23:59:59"],
    [2, "ffd583", "23:59:59.99"],
    [4, "ff977f33", "23:59:59.9999"],
    [7, "ffbf692ac9", "23:59:59.9999999"],
    [7, "0100000000", "00:00:00.0000001"],
    [3, "00000000", "00:00:00.000"],
  ] as const)
    assert.equal(written(time(scale), hex), `"${text}"`);
  assert.throws(() => written(time(0), "805101"), /a time below 24 hours/);
  assert.throws(() => written(time(7), "00c0692ac9"), /a time below 24 hours/);
});

test("a datetime2 is the time, then the day, at all scales", () => {
  assert.equal(written(datetime2(0), "408f00 644a0b"), '"2026-11-21T10:11:12"');
  assert.equal(written(datetime2(3), "7b922f02 644a0b"), '"2026-11-21T10:11:12.123"');
  assert.equal(written(datetime2(7), "87f6496255 644a0b"), '"2026-11-21T10:11:12.1234567"');
  assert.equal(written(datetime2(7), "ffbf692ac9 dab937"), '"9999-12-31T23:59:59.9999999"');
  assert.equal(written(datetime2(1), "000000 000000"), '"0001-01-01T00:00:00.0"');
  for (let scale = 0; scale <= 7; scale++) {
    const zeros = scale === 0 ? "" : `.${"0".repeat(scale)}`;
    const bytes = scale < 3 ? 3 : scale < 5 ? 4 : 5;
    assert.equal(written(datetime2(scale), `${"00".repeat(bytes)} 644a0b`), `"2026-11-21T00:00:00${zeros}"`);
  }
});

test("a datetimeoffset is UTC on the wire and local time with its offset in the message", () => {
  // 10:11:12 UTC and +02:00 = 120 minutes (0x0078): 12:11:12 there.
  assert.equal(written(datetimeoffset(0), "408f00 644a0b 7800"), '"2026-11-21T12:11:12+02:00"');
  assert.equal(written(datetimeoffset(7), "87f6496255 644a0b 7800"), '"2026-11-21T12:11:12.1234567+02:00"');
  // -05:30 = -330 minutes (0xfeb6): 04:41:12.
  assert.equal(written(datetimeoffset(3), "7b922f02 644a0b b6fe"), '"2026-11-21T04:41:12.123-05:30"');
  assert.equal(written(datetimeoffset(0), "408f00 644a0b 0000"), '"2026-11-21T10:11:12+00:00"');
  assert.equal(written(datetimeoffset(0), "408f00 644a0b 5901"), '"2026-11-21T15:56:12+05:45"');
});

test("where the local day is another than that of UTC, it is the local one that is shown", () => {
  // 23:00:00 = 82800 s (0x014370), +14:00 = 840 (0x0348): the next day.
  assert.equal(written(datetimeoffset(0), "704301 644a0b 4803"), '"2026-11-22T13:00:00+14:00"');
  // 01:00:00 = 3600 s (0x0e10), -14:00 = -840 (0xfcb8): the day before.
  assert.equal(written(datetimeoffset(0), "100e00 644a0b b8fc"), '"2026-11-20T11:00:00-14:00"');
  // Over the end of a year, and exactly to midnight.
  // 2026-12-31 is day 739980 (0x0b4a8c); 22:00:00 = 79200 (0x013560).
  assert.equal(written(datetimeoffset(0), "603501 8c4a0b 7800"), '"2027-01-01T00:00:00+02:00"');
  // 02:00:00 = 7200 (0x1c20) at -02:00 = -120 (0xff88): midnight of the same day.
  assert.equal(written(datetimeoffset(0), "201c00 8c4a0b 88ff"), '"2026-12-31T00:00:00-02:00"');
});

test("no local day lies before the year 1 or after the year 9999, and no offset is above 14 hours", () => {
  // 0001-01-01T14:00 UTC at -14:00, and 9999-12-31T09:59:59 UTC at +14:00, are the last that there are.
  assert.equal(written(datetimeoffset(0), "e0c400 000000 b8fc"), '"0001-01-01T00:00:00-14:00"');
  assert.equal(written(datetimeoffset(0), "9f8c00 dab937 4803"), '"9999-12-31T23:59:59+14:00"');
  assert.throws(() => written(datetimeoffset(0), "dfc400 000000 b8fc"), /a local day from 0001-01-01 to 9999-12-31/);
  assert.throws(() => written(datetimeoffset(0), "a08c00 dab937 4803"), /a local day from 0001-01-01 to 9999-12-31/);
  assert.throws(() => written(datetimeoffset(0), "408f00 644a0b 4903"), /an offset of at most 14 hours/);
});

test("a datetime is days since 1900 and 1/300 s, shown as .000, .003 and .007 as the server rounds", () => {
  const at = (ticks: number) => Buffer.concat([tds.u32(46_345), tds.u32(ticks)]);
  // 10:11:12 is 11001600 ticks.
  for (const [ticks, fraction] of [
    [0, "000"],
    [1, "003"],
    [2, "007"],
    [3, "010"],
    [37, "123"],
    [298, "993"],
    [299, "997"],
  ] as const)
    assert.equal(written(datetimeN(8), at(11_001_600 + ticks)), `"2026-11-21T10:11:12.${fraction}"`);
  assert.equal(written(tds.fixed(0x3d), at(25_919_999)), '"2026-11-21T23:59:59.997"');
  // 1753-01-01 is 53690 days before 1900: 0xffff2e46. 9999-12-31 is 2958463 = 0x002d247f after it.
  assert.equal(written(datetimeN(8), "462effff 00000000"), '"1753-01-01T00:00:00.000"');
  assert.equal(written(datetimeN(8), "7f242d00 ff818b01"), '"9999-12-31T23:59:59.997"');
  assert.equal(written(datetimeN(8), "ffffffff 00000000"), '"1899-12-31T00:00:00.000"');
  assert.throws(() => written(datetimeN(8), "452effff 00000000"), /a day from 1753 to 9999/);
  assert.throws(() => written(datetimeN(8), "80242d00 00000000"), /a day from 1753 to 9999/);
  assert.throws(() => written(datetimeN(8), "00000000 00828b01"), /a time below 24 hours/);
});

test("a smalldatetime is days since 1900 and minutes", () => {
  // 611 minutes = 0x0263
  assert.equal(written(datetimeN(4), "09b5 6302"), '"2026-11-21T10:11:00"');
  assert.equal(written(tds.fixed(0x3a), "0000 0000"), '"1900-01-01T00:00:00"');
  assert.equal(written(datetimeN(4), "ffff 9f05"), '"2079-06-06T23:59:00"');
  assert.throws(() => written(datetimeN(4), "0000 a005"), /a time below 24 hours/);
});
