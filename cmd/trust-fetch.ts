import { serializeHex } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';
import { shellWord } from '../core/bytes/printable.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { InputError, TrustError, UsageError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_TRUST_FILE_BYTES, MAX_TUF_ROOT_BYTES } from '../core/limits.ts';
import { parseClientTrustConfig } from '../core/trust/client-trust-config.ts';
import { parseSigningConfig } from '../core/trust/signing-config.ts';
import { parseTrustedRoot, requireWellFormed } from '../core/trust/trusted-root.ts';
import { parseTrustedRoots } from '../core/trust/trusted-roots.ts';
import { type TufStore, updateTuf } from '../core/trust/tuf/client.ts';
import { parseRoot } from '../core/trust/tuf/metadata.ts';
import { type Mirror, mirrorAt } from '../core/trust/tuf/mirror.ts';
import type { Cli } from './cli.ts';
import { httpOf } from './http.ts';
import { requirePlainUrl } from './plain-url.ts';
import {
  type InstanceMeta,
  inFile,
  SIGNING_CONFIG,
  SIGNING_CONFIG_REKOR_V2,
  SOURCE,
  TRUSTED_ROOT,
} from './trust-instances.ts';

/** What an instance's folder holds beside TUF metadata. */
export const TARGETS = [SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2, TRUSTED_ROOT] as const;
const URL_HINT = 'hallmark trust add https://HOST';

/** Material about to be stored: where a TUF repository is and which root to start from, or the files themselves. */
export type Material =
  | { readonly kind: 'tuf'; readonly url: string; readonly root: Uint8Array }
  | { readonly kind: 'files'; readonly bytes: Uint8Array; readonly files: ReadonlyMap<string, Uint8Array | string> };

/** The bytes that a fingerprint is of: the first TUF root, or the file. */
export function fingerprintOf(material: Material): string {
  return `sha256:${serializeHex(sha256(material.kind === 'tuf' ? material.root : material.bytes))}`;
}

/**
 * Finds the TUF repository of an instance: at the URL itself, or below it at /tuf as `hallmark serve` has it. Its first root
 * is only fetched here; whether to trust it is the caller's question.
 */
export async function findRepository(cli: Cli, given: string): Promise<Material & { kind: 'tuf' }> {
  const url = requirePlainUrl(given, URL_HINT);
  for (const base of [url, `${url}/tuf`]) {
    const root = await mirrorAt(httpOf(cli), base)('1.root.json', MAX_TUF_ROOT_BYTES);
    if (root !== undefined) return { kind: 'tuf', url: base, root };
  }
  throw new TrustError('TUF_TARGET_INVALID', `no TUF repository at ${url}: neither 1.root.json nor tuf/1.root.json`, {
    hint: 'give the base URL of a hallmark serve or of a TUF mirror, or its root.json as a file with --mirror URL',
  });
}

/**
 * Reads a file that can be added: a TUF root (with the URL of its mirror), a trusted root, or a client trust config. Parsed
 * in full, so that nothing is stored that could not be used.
 */
export function readMaterial(path: string, mirror: string | undefined): Material {
  const bytes = readFileBounded(path, MAX_TRUST_FILE_BYTES, 'trust file');
  return inFile(path, () => parseMaterial(bytes, path, mirror));
}

/** The same from its bytes; `path` is what errors call it. */
export function parseMaterial(bytes: Uint8Array, path: string, mirror: string | undefined): Material {
  if (isSeveral(bytes)) {
    throw new UsageError(`${path} holds several trusted roots, and each needs a name of its own`, {
      hint: `use them as they are: --trusted-root ${shellWord(path)}\nor add each from a file of its own`,
    });
  }
  const fields = new Fields(parseJson(bytes), '', 'TRUSTED_ROOT_INVALID');
  if (fields.has('signed')) {
    parseRoot(bytes);
    if (mirror !== undefined) return { kind: 'tuf', url: requirePlainUrl(mirror, URL_HINT), root: bytes };
    throw new UsageError(`${path} is a TUF root and does not say where its repository is`, {
      hint: `hallmark trust add ${shellWord(path)} --mirror URL`,
    });
  }
  if (mirror !== undefined) throw new UsageError(`--mirror goes with a TUF root, and ${path} is none`);
  if (!fields.string('mediaType').includes('clienttrustconfig')) {
    requireWellFormed(parseTrustedRoot(bytes));
    return { kind: 'files', bytes, files: new Map([[TRUSTED_ROOT, bytes]]) };
  }
  requireWellFormed(parseClientTrustConfig(bytes).trustedRoot);
  const part = (key: string): string => `${JSON.stringify(fields.json(key), null, 2)}\n`;
  const files = new Map([
    [TRUSTED_ROOT, part('trustedRoot')],
    [SIGNING_CONFIG, part('signingConfig')],
  ]);
  return { kind: 'files', bytes, files };
}

function isSeveral(bytes: Uint8Array): boolean {
  try {
    return parseTrustedRoots(bytes).length > 1;
  } catch (error) {
    // What else it is, or what is wrong with it, is found out next.
    if (error instanceof InputError) return false;
    throw error;
  }
}

/** What is to be stored of an instance, apart from TUF metadata. */
export interface Contents {
  readonly meta: InstanceMeta;
  readonly files: ReadonlyMap<string, Uint8Array | string>;
}

/** Where and when material is got from: over the network, or from an export in the same form. */
export interface Origin {
  readonly store: TufStore;
  readonly mirror: (url: string) => Mirror;
  readonly now: Date;
}

/** Gets and verifies what is to be stored. Errors of `updateTuf`; TUF_TARGET_INVALID, TRUSTED_ROOT_INVALID and the like. */
export async function fetchContents(material: Material, fingerprint: string, origin: Origin): Promise<Contents> {
  const meta = { ...NO_TUF, fingerprint, fetchedAt: origin.now };
  if (material.kind === 'files') return { meta, files: new Map([...material.files, [SOURCE, material.bytes]]) };
  const { url, root: trustedRootBytes } = material;
  const { root, targets, files } = await updateTuf({
    ...origin,
    mirror: origin.mirror(url),
    url,
    trustedRootBytes,
    targets: TARGETS,
  });
  requireUsable(url, files);
  const tuf = { url, rootVersion: root.version, rootExpires: root.expires, targetsVersion: targets.version };
  return { meta: { ...meta, ...tuf }, files };
}

const NO_TUF = { url: undefined, rootVersion: undefined, rootExpires: undefined, targetsVersion: undefined };

// Authentic is not yet well-formed: what could not be used later is refused now, and the old material stays.
function requireUsable(url: string, files: ReadonlyMap<string, Uint8Array>): void {
  const trustedRoot = files.get(TRUSTED_ROOT);
  if (trustedRoot === undefined) {
    throw new TrustError('TUF_TARGET_INVALID', `the TUF repository at ${url} lists no ${TRUSTED_ROOT}`, {
      hint: 'it is not the repository of a Sigstore instance; ask its operator for the right URL',
    });
  }
  requireWellFormed(parseTrustedRoot(trustedRoot));
  for (const name of [SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2]) {
    const bytes = files.get(name);
    if (bytes !== undefined) parseSigningConfig(bytes);
  }
}
