/** Names of artifacts, as Docker and ORAS write them: `registry[:port]/name[:tag][@sha256:…]`. */
import { DStreamError } from "../../errors.ts";

export interface Reference {
  /** Host and port. */
  registry: string;
  name: string;
  /** What is asked for: the digest where there is one, else the tag. */
  target: string;
  tag: string | undefined;
  /** `sha256:…` */
  digest: string | undefined;
  text: string;
}

export class RegistryError extends DStreamError {
  readonly code = "DSTREAM_REGISTRY";
  /** The registry could not be reached, or could not answer now. */
  readonly unreachable: boolean;
  constructor(message: string, options: { advice?: string | undefined; cause?: unknown; unreachable?: boolean } = {}) {
    super(message, options);
    this.unreachable = options.unreachable ?? false;
  }
}

// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
export const DIGEST = /^sha256:[a-f0-9]{64}$/;

/** Throws RegistryError. */
export function parseReference(text: string): Reference {
  const wrong = (why: string) =>
    new RegistryError(`"${text}" names no provider in a registry: ${why}.`, {
      advice: "Write registry/name:tag, or registry/name@sha256:…; ghcr.io/acme/provider:v1, say.",
    });
  const [rest = "", digest, ...more] = text.replace(/^oci:\/\//, "").split("@");
  const slash = rest.indexOf("/");
  if (more.length > 0) throw wrong("it has two @");
  if (slash < 0) throw wrong("it has no registry");
  const registry = rest.slice(0, slash);
  const colon = rest.lastIndexOf(":");
  const [name, tag] =
    colon > slash ? [rest.slice(slash + 1, colon), rest.slice(colon + 1)] : [rest.slice(slash + 1), undefined];
  if (!/^(\[[0-9a-fA-F:]+\]|[a-zA-Z0-9.-]+)(:\d+)?$/.test(registry)) throw wrong(`"${registry}" is no host`);
  if (!NAME.test(name)) throw wrong(`"${name}" is no name: lower case, digits and separators`);
  if (tag !== undefined && !TAG.test(tag)) throw wrong(`"${tag}" is no tag`);
  if (digest !== undefined && !DIGEST.test(digest)) throw wrong("its digest is not sha256: and 64 hexadecimal digits");
  return { registry, name, tag, digest, target: digest ?? tag ?? "latest", text };
}
