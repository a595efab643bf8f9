/**
 * A self-signed certificate, made when the server starts: node:crypto has keys and signatures, but issues no certificates.
 * X.509 as of RFC 5280, with an EC key on P-256.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import { hostname } from "node:os";

export interface Certificate {
  /** PEM. */
  key: string;
  /** PEM; clients that verify are given this one as their authority. */
  cert: string;
}

const DAY = 86_400_000;

/** Valid for localhost, 127.0.0.1, ::1, this machine's name and `names`, from yesterday on for ten years. */
export function selfSignedCertificate(names: readonly string[] = []): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicDer = publicKey.export({ type: "spki", format: "der" });
  const subject = sequence(set(sequence(oid("2.5.4.3"), utf8("dstream simulator"))));
  const algorithm = sequence(oid("1.2.840.10045.4.3.2"));
  const serial = randomBytes(16);
  serial[0]! &= 0x7f;
  const alternatives = [...new Set(["localhost", "127.0.0.1", "::1", hostname(), ...names])].map(alternativeName);
  const keyId = createHash("sha1").update(publicDer).digest();
  const extensions = sequence(
    extension("2.5.29.19", true, sequence(boolean(true))),
    extension("2.5.29.17", false, sequence(...alternatives)),
    extension("2.5.29.37", false, sequence(oid("1.3.6.1.5.5.7.3.1"))),
    extension("2.5.29.14", false, tagged(0x04, keyId)),
  );
  const now = Date.now();
  const body = sequence(
    tagged(0xa0, integer(Buffer.of(2))),
    integer(serial),
    algorithm,
    subject,
    sequence(time(new Date(now - DAY)), time(new Date(now + 3650 * DAY))),
    subject,
    publicDer,
    tagged(0xa3, extensions),
  );
  const signature = sign("sha256", body, privateKey);
  const der = sequence(body, algorithm, tagged(0x03, Buffer.concat([Buffer.of(0), signature])));
  const lines = der.toString("base64").match(/.{1,64}/g)!;
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
  };
}

/** One element of DER: tag, length, content. */
function tagged(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const size = body.length;
  if (size < 0x80) return Buffer.concat([Buffer.of(tag, size), body]);
  const head = size < 0x100 ? Buffer.of(tag, 0x81, size) : Buffer.of(tag, 0x82, size >> 8, size & 0xff);
  return Buffer.concat([head, body]);
}

const sequence = (...content: Buffer[]) => tagged(0x30, ...content);
const set = (...content: Buffer[]) => tagged(0x31, ...content);
const utf8 = (text: string) => tagged(0x0c, Buffer.from(text));
const boolean = (value: boolean) => tagged(0x01, Buffer.of(value ? 0xff : 0));

/** From big-endian bytes of a number that is not negative. */
function integer(bytes: Buffer): Buffer {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const body = bytes.subarray(from);
  return tagged(0x02, body[0]! & 0x80 ? Buffer.concat([Buffer.of(0), body]) : body);
}

function oid(text: string): Buffer {
  const [first, second, ...rest] = text.split(".").map(Number);
  const bytes = [first! * 40 + second!];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let more = part >>> 7; more > 0; more >>>= 7) groups.unshift((more & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return tagged(0x06, Buffer.from(bytes));
}

/** UTCTime serves until 2049. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return tagged(0x17, Buffer.from(`${digits}Z`));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [boolean(true)] : []), tagged(0x04, value));
}

function alternativeName(name: string): Buffer {
  const version = isIP(name);
  if (version === 0) return tagged(0x82, Buffer.from(name));
  if (version === 4) return tagged(0x87, Buffer.from(name.split(".").map(Number)));
  return tagged(0x87, ipv6(name));
}

function ipv6(address: string): Buffer {
  const [head = "", tail] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16)));
  const front = groups(head);
  const back = groups(tail ?? "");
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
