/**
 * The engine's values and definitions as JSON text and back. What JSON has no form for becomes an object with a `$` that
 * says what it is. An object of a class that is not known here is an error: it would come back as something else.
 */
import { Decimal, type SqlType, Temporal, type Value, Variant } from "../engine/values.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

export function encode(value: unknown): string {
  return JSON.stringify(toJson(value));
}

export function decode(text: string): unknown {
  return fromJson(JSON.parse(text) as Json);
}

function toJson(value: unknown): Json {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { $: "number", of: numberText(value) };
    case "bigint":
      return { $: "bigint", of: value.toString() };
    case "undefined":
      return { $: "undefined" };
    case "object":
      return value === null ? null : objectToJson(value);
    default:
      throw new Error(`a ${typeof value} cannot be kept in a file`);
  }
}

function numberText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function objectToJson(value: object): Json {
  if (Array.isArray(value)) return value.map(toJson);
  if (Buffer.isBuffer(value)) return { $: "buffer", of: value.toString("base64") };
  if (value instanceof Decimal) return { $: "decimal", of: [value.unscaled.toString(), value.scale] };
  if (value instanceof Temporal) return { $: "temporal", of: [value.days, value.ticks, value.offset] };
  if (value instanceof Variant) return { $: "variant", of: [toJson(value.type), toJson(value.value)] };
  if (value instanceof Date) return { $: "date", of: value.getTime() };
  if (value instanceof Map) return { $: "map", of: [...value].map(([key, of]) => [toJson(key), toJson(of)]) };
  if (value instanceof Set) return { $: "set", of: [...value].map(toJson) };
  if (Object.getPrototypeOf(value) !== Object.prototype)
    throw new Error(`an object of class ${value.constructor.name} cannot be kept in a file`);
  const json: Record<string, Json> = {};
  for (const [key, of] of Object.entries(value)) if (of !== undefined) json[key] = toJson(of);
  return json;
}

function fromJson(json: Json): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map(fromJson);
  if (!("$" in json)) return Object.fromEntries(Object.entries(json).map(([key, of]) => [key, fromJson(of)]));
  const { of } = json;
  switch (json["$"]) {
    case "undefined":
      return undefined;
    case "number":
      return Number(of);
    case "bigint":
      return BigInt(of as string);
    case "buffer":
      return Buffer.from(of as string, "base64");
    case "decimal": {
      const [unscaled, scale] = of as [string, number];
      return new Decimal(BigInt(unscaled), scale);
    }
    case "temporal":
      return new Temporal(...(of as [number, number, number]));
    case "variant": {
      const [type, value] = of as [Json, Json];
      return new Variant(fromJson(type) as SqlType, fromJson(value) as Value);
    }
    case "date":
      return new Date(of as number);
    case "map":
      return new Map((of as [Json, Json][]).map(([key, value]) => [fromJson(key), fromJson(value)]));
    case "set":
      return new Set((of as Json[]).map(fromJson));
    default:
      throw new Error(`a file has a value of kind ${JSON.stringify(json["$"])}, which is not known`);
  }
}
