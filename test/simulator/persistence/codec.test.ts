import assert from "node:assert/strict";
import { test } from "node:test";
import { Decimal, Temporal, Variant } from "../../../simulator/engine/values.ts";
import { decode, encode } from "../../../simulator/persistence/codec.ts";

test("every form that a value can have comes back as it was", () => {
  const values = [
    null,
    true,
    -0,
    1.5e300,
    Number.NaN,
    Number.NEGATIVE_INFINITY,
    -(2n ** 63n),
    "",
    "ünïcødé \0 \ud800 alone",
    Buffer.from([0, 255]),
    Buffer.alloc(0),
    new Decimal(-(10n ** 37n), 12),
    new Temporal(738_000, 863_999_999_999, -840),
    new Variant({ id: "decimal", precision: 5, scale: 2 }, new Decimal(12345n, 2)),
    new Date(-1),
    new Map<unknown, unknown>([[1, new Set(["a"])]]),
    { kind: "literal", nested: [{ at: 1n, none: null }] },
  ];
  assert.deepStrictEqual(decode(encode(values)), values);
});

test("what is absent stays absent, in objects and in arrays", () => {
  assert.deepStrictEqual(decode(encode({ a: undefined, b: [undefined] })), { b: [undefined] });
});

test("an object of a class that has no form in a file is refused by the class's name", () => {
  class Engine {
    x = 1;
  }
  assert.throws(() => encode({ rows: [new Engine()] }), /class Engine cannot be kept/);
  assert.throws(() => encode({ call: () => 1 }), /a function cannot be kept/);
});
