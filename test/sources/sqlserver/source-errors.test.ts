import assert from "node:assert/strict";
import { test } from "node:test";
import { sourceError } from "../../../src/sources/sqlserver/source-errors.ts";

function said(number: number, severity = 14): Error {
  return Object.assign(new Error("the server's words"), { code: "EREQUEST", number, class: severity });
}

test("what a retry mends, what somebody has to mend for a table, and what stops everything", () => {
  for (const number of [1205, 4060, 10928, 10929, 40197, 40501, 40613, 49918, 49919, 49920])
    assert.equal(sourceError("reading", said(number)).scope, "unavailable", String(number));
  for (const number of [208, 229, 297, 313, 102])
    assert.equal(sourceError("reading", said(number)).scope, "table", String(number));
  assert.equal(sourceError("connecting", said(18456)).scope, "fatal");
  for (const code of ["ETIMEOUT", "ESOCKET", "ECLOSE"])
    assert.equal(sourceError("reading", Object.assign(new Error("x"), { code })).scope, "unavailable");
});

test("an unknown error of high severity is about the server, not about the table", () => {
  assert.equal(sourceError("reading", said(99999, 21)).scope, "unavailable");
});

test("several errors of one answer are one, with the first number and all words", () => {
  const error = sourceError(
    "reading dbo.T",
    new AggregateError([said(313), Object.assign(said(0), { message: "more" })]),
  );
  assert.equal(error.number, 313);
  assert.equal(error.message, "While reading dbo.T: the server's words more (error 313)");
});

test("a certificate that is not trusted is told with the ways to trust it", () => {
  const cause = Object.assign(new Error("self-signed certificate"), { code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  const error = sourceError(
    "connecting",
    Object.assign(new Error("Failed to connect", { cause }), { code: "ESOCKET" }),
  );
  assert.equal(error.scope, "fatal");
  assert.match(error.advice!, /NODE_EXTRA_CA_CERTS/);
});
