/**
 * Providers from a registry, kept in a cache by their digests. A file stands there under its name only once all its bytes have come and
 * are what their digest says: whoever is killed before leaves a temporary file that nobody uses. Once it is there, a reference by digest
 * asks nobody; a tag asks what it stands for, and where the registry cannot be reached, the answer of last time holds.
 */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Environment } from "../../config/hcl/document.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { DIGEST, parseReference, type Reference, RegistryError } from "./reference.ts";
import { type Descriptor, MEDIA, Registry, sha256 } from "./registry.ts";

export interface PullOptions {
  cacheDir: string;
  env: Environment;
  signal: AbortSignal;
  logger: Logger;
  /** As in `linux/amd64`. */
  platform?: string;
}

export interface Pulled {
  /** Of the file, which may be executed. */
  path: string;
  /** Of its manifest. */
  digest: string;
  fromCache: boolean;
}

interface Manifest {
  manifests?: Descriptor[];
  layers?: Descriptor[];
}

/** On folders, which are packed. */
const UNPACK = "io.deis.oras.content.unpack";
const TITLE = "org.opencontainers.image.title";
const INDEXES: readonly string[] = [MEDIA.index, MEDIA.dockerIndex];

/** Throws RegistryError. */
export async function pullProvider(text: string, options: PullOptions): Promise<Pulled> {
  const { cacheDir, logger } = options;
  const { platform = platformOf(process.platform, process.arch) } = options;
  const reference = parseReference(text);
  const at = (digest: string) => `${reference.registry}/${reference.name}@${digest}`;
  const recordOf = (of: string) =>
    join(cacheDir, "references", `${createHash("sha256").update(`${of} ${platform}`).digest("hex")}.json`);
  const known = recordOf(reference.digest === undefined ? text : at(reference.digest));
  const last = await lastOf(known);
  if (reference.digest !== undefined && last !== null) return { ...last, fromCache: true };
  try {
    const registry = new Registry(reference, options);
    const { manifest, digests } = await manifestFor(registry, reference, platform);
    const digest = digests.at(-1)!;
    const layer = layerOf(manifest, text, platform);
    const path = join(cacheDir, "files", layer.digest.replace(":", "-"), titleOf(layer, reference));
    const fromCache = (await stat(path).catch(() => null)) !== null;
    if (!fromCache) {
      logger.info({ provider: text, bytes: layer.size }, "pulling a provider");
      await download(registry, layer, path);
    }
    await mkdir(dirname(known), { recursive: true });
    // Also for who asks by a digest that the tag stood for.
    for (const record of new Set([known, ...digests.map((each) => recordOf(at(each)))]))
      await putWhole(record, JSON.stringify({ reference: text, platform, path, digest }));
    return { path, digest, fromCache };
  } catch (error) {
    if (!(error instanceof RegistryError && error.unreachable) || last === null) throw error;
    logger.warn(
      { error, provider: text, digest: last.digest },
      "the registry is not asked: what was pulled last is used",
    );
    return { ...last, fromCache: true };
  }
}

/** As OCI names them, which is as Go does. */
export function platformOf(os: NodeJS.Platform, arch: string): string {
  const system = os === "win32" ? "windows" : os;
  return `${system}/${{ x64: "amd64", ia32: "386" }[arch] ?? arch}`;
}

async function lastOf(known: string): Promise<{ path: string; digest: string } | null> {
  try {
    const { path, digest } = JSON.parse(await readFile(known, "utf8")) as { path: string; digest: string };
    await stat(path);
    return { path, digest };
  } catch {
    return null;
  }
}

/** `digests`: of the index, where there is one, and of the manifest. */
async function manifestFor(
  registry: Registry,
  reference: Reference,
  platform: string,
): Promise<{ manifest: Manifest; digests: string[] }> {
  let target = reference.target;
  const digests: string[] = [];
  // An index of indexes is allowed, and nobody's habit.
  for (let depth = 0; depth < 3; depth++) {
    const { bytes, mediaType } = await registry.manifest(target);
    const digest = sha256(bytes);
    if (DIGEST.test(target) && digest !== target)
      throw new RegistryError(`${reference.text}: what the registry gives for ${target} has the digest ${digest}.`, {
        advice: "It was changed on the way, or the registry is broken: nothing of it is used.",
      });
    digests.push(digest);
    const manifest = parsed(bytes, reference);
    if (!INDEXES.includes(mediaType) && manifest.manifests === undefined) return { manifest, digests };
    const own = (manifest.manifests ?? []).find((each) => each.platform && named(each.platform) === platform);
    if (own === undefined) {
      const others = (manifest.manifests ?? []).flatMap((each) => (each.platform ? [named(each.platform)] : []));
      throw new RegistryError(
        `${reference.text} is not for ${platform}: it is for ${others.join(", ") || "no platform"}.`,
      );
    }
    target = own.digest;
  }
  throw new RegistryError(`${reference.text} has indexes in indexes.`);
}

function named({ os, architecture }: { os: string; architecture: string }): string {
  return `${os}/${architecture}`;
}

function parsed(bytes: Buffer, { text }: Reference): Manifest {
  try {
    return JSON.parse(bytes.toString()) as Manifest;
  } catch (error) {
    throw new RegistryError(`${text}: its manifest is no JSON.`, { cause: error });
  }
}

/**
 * The one file, or of several the one that names the platform, as `plugin.linux_amd64` does (the Go version's providers). Files are told
 * from layers of images by their titles: ORAS gives both one media type (https://oras.land/docs/commands/oras_push).
 */
function layerOf({ layers = [] }: Manifest, text: string, platform: string): Descriptor {
  const files = layers.filter(({ digest, mediaType, annotations }) => {
    const isFile = mediaType === MEDIA.provider || annotations?.[TITLE] !== undefined;
    return isFile && annotations?.[UNPACK] !== "true" && DIGEST.test(digest);
  });
  const named = new RegExp(`[._-]${platform.replace("/", "[_-]")}(\\.exe)?$`);
  const own = files.length === 1 ? files[0] : files.find(({ annotations }) => named.test(annotations?.[TITLE] ?? ""));
  if (own !== undefined) return own;
  throw new RegistryError(
    `${text} is no provider for ${platform}: of its ${layers.length} layers ${files.length} are files, and none is named for it.`,
    { advice: "An image for containers cannot be run here. Push a program: dstream provider push." },
  );
}

/** What the file is called: it shows in process lists. Never a path. */
function titleOf(layer: Descriptor, { name }: Reference): string {
  const title = basename(layer.annotations?.[TITLE] ?? name);
  return /^[\w.+-]+$/.test(title) && !title.startsWith(".") ? title : "provider";
}

async function download(registry: Registry, { digest, size }: Descriptor, path: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  await removeLeftovers(folder);
  const temporary = join(folder, `.${randomUUID()}.part`);
  const hash = createHash("sha256");
  const file = await open(temporary, "wx", 0o755);
  try {
    let length = 0;
    for await (const chunk of unlessBroken(await registry.blob(digest), digest)) {
      hash.update(chunk);
      length += chunk.length;
      if (length > size) break;
      await file.writeFile(chunk);
    }
    const found = `sha256:${hash.digest("hex")}`;
    if (found !== digest || length !== size)
      throw new RegistryError(`The blob ${digest} came with ${length} bytes of digest ${found}; it has ${size}.`, {
        advice: "It was broken off or changed on the way: nothing of it is used.",
      });
    await file.chmod(0o755);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    if (error instanceof RegistryError) throw error;
    throw new RegistryError(`While writing a provider to ${folder}: ${(error as Error).message}.`, { cause: error });
  }
}

/** What breaks off here is the registry's; a full disk is not. */
async function* unlessBroken(chunks: AsyncIterable<Uint8Array>, digest: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of chunks) yield chunk;
  } catch (error) {
    throw new RegistryError(`While pulling the blob ${digest}: ${(error as Error).message}.`, {
      cause: error,
      unreachable: true,
    });
  }
}

/** Of those who were killed a while ago. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.endsWith(".part")) continue;
    const path = join(folder, name);
    const old = (await stat(path).catch(() => null))?.mtimeMs ?? Date.now();
    if (Date.now() - old > 3_600_000) await rm(path, { force: true });
  }
}

async function putWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, text);
  await rename(temporary, path);
}
