/**
 * A provider into a registry: an artifact of one file for each platform, and an index over them. As the image specification guides for
 * artifacts (https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage), and as ORAS names files.
 */
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Environment } from "../../config/hcl/document.ts";
import { parseReference, RegistryError } from "./reference.ts";
import { type Descriptor, MEDIA, Registry } from "./registry.ts";

export interface PlatformFile {
  path: string;
  /** As in `linux/amd64`. */
  platform: string;
}

const EMPTY = Buffer.from("{}");

/** Answers the index's digest. Throws RegistryError. */
export async function pushProvider(
  text: string,
  files: readonly PlatformFile[],
  options: { env: Environment; signal: AbortSignal },
): Promise<string> {
  const reference = parseReference(text);
  if (reference.digest !== undefined)
    throw new RegistryError(`"${text}" has a digest: that is the registry's to say.`, {
      advice: "Push to a tag: registry/name:v1.",
    });
  const seen = new Set<string>();
  for (const { path, platform } of files) {
    if (!/^[a-z0-9]+\/[a-z0-9_]+$/.test(platform))
      throw new RegistryError(`"${platform}" is no platform.`, {
        advice: "Platforms are written linux/amd64, linux/arm64, darwin/arm64, ….",
      });
    if (seen.has(platform)) throw new RegistryError(`There are two files for ${platform}.`);
    seen.add(platform);
    const found = await stat(path).catch(() => null);
    if (!found?.isFile()) throw new RegistryError(`There is no file ${path}.`);
  }
  const registry = new Registry(reference, options);
  const config = { mediaType: MEDIA.empty, ...(await registry.push({ bytes: EMPTY })) };
  const manifests: Descriptor[] = [];
  for (const { path, platform } of files) {
    const blob = await registry.push({ path });
    const layer = {
      mediaType: MEDIA.provider,
      ...blob,
      annotations: { "org.opencontainers.image.title": basename(path) },
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType: MEDIA.provider,
      config,
      layers: [layer],
    };
    const pushed = await registry.pushManifest(null, MEDIA.manifest, manifest);
    const [os, architecture] = platform.split("/") as [string, string];
    manifests.push({ ...pushed, artifactType: MEDIA.provider, platform: { os, architecture } });
  }
  const index = { schemaVersion: 2, mediaType: MEDIA.index, artifactType: MEDIA.provider, manifests };
  return (await registry.pushManifest(reference.tag ?? "latest", MEDIA.index, index)).digest;
}
