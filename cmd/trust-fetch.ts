import { randomUUID } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { serializeHex } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { StorageError, TrustError, UsageError } from '../core/errors.ts';
import { makeFolder, readFileBounded, withLock, writeFileAtomic } from '../core/files.ts';
import { MAX_TRUST_FILE_BYTES, MAX_TUF_ROOT_BYTES } from '../core/limits.ts';
import { parseClientTrustConfig } from '../core/trust/client-trust-config.ts';
import { parseSigningConfig } from '../core/trust/signing-config.ts';
import { parseTrustedRoot, requireWellFormed } from '../core/trust/trusted-root.ts';
import { type TufStore, updateTuf } from '../core/trust/tuf/client.ts';
import { fetchFile } from '../core/trust/tuf/fetch.ts';
import { parseRoot } from '../core/trust/tuf/metadata.ts';
import type { Cli } from './cli.ts';
import { requirePlainUrl } from './plain-url.ts';
import {
  findInstance,
  type Instance,
  type InstanceMeta,
  inFile,
  META,
  readIfThere,
  requireStore,
  SIGNING_CONFIG,
  SIGNING_CONFIG_REKOR_V2,
  serializeMeta,
  TRUSTED_ROOT,
} from './trust-instances.ts';

const TARGETS = [SIGNING_CONFIG, SIGNING_CONFIG_REKOR_V2, TRUSTED_ROOT] as const;
const URL_HINT = 'hallmark trust add https://HOST';
/** How long a command waits for another one that changes the store. */
const LOCK_WAIT_MS = 1_000;

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
    const root = await fetchFile(cli.fetch, base, '1.root.json', MAX_TUF_ROOT_BYTES);
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
  return inFile(path, () => {
    const fields = new Fields(parseJson(bytes), '', 'TRUSTED_ROOT_INVALID');
    if (fields.has('signed')) {
      parseRoot(bytes);
      if (mirror !== undefined) return { kind: 'tuf', url: requirePlainUrl(mirror, URL_HINT), root: bytes };
      throw new UsageError(`${path} is a TUF root and does not say where its repository is`, {
        hint: `hallmark trust add ${path} --mirror URL`,
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
  });
}

/** Stores new material under a name that is free; all or nothing. FILE_EXISTS if the name is taken. */
export async function storeInstance(cli: Cli, name: string, material: Material): Promise<void> {
  const store = requireStore(cli);
  await withLock(
    join(store, '.lock'),
    async () => {
      if (findInstance(cli, name) !== undefined) {
        throw new StorageError('FILE_EXISTS', `trust named ${name} is there already`, {
          hint: `hallmark trust update ${name}\nhallmark trust remove ${name}\nor choose another name with --name`,
        });
      }
      const temporary = join(store, `.${name}.${randomUUID()}`);
      try {
        await fillFolder(cli, temporary, material, fingerprintOf(material));
        rmSync(join(store, name), { recursive: true, force: true });
        renameSync(temporary, join(store, name));
      } finally {
        rmSync(temporary, { recursive: true, force: true });
      }
    },
    LOCK_WAIT_MS,
  );
}

/** Fetches what is new of an instance that came from a TUF repository; what is stored stays if anything is wrong. */
export async function updateInstance(cli: Cli, { name, meta, read }: Instance): Promise<void> {
  const { url } = meta;
  const root = read('tuf/root.json');
  if (url === undefined || root === undefined) {
    throw new UsageError(`${name} was added from a file and has nowhere to be updated from`, {
      hint: `hallmark trust remove ${name}\nhallmark trust add FILE --name ${name}`,
    });
  }
  const store = requireStore(cli);
  const material: Material = { kind: 'tuf', url, root };
  await withLock(
    join(store, '.lock'),
    () => fillFolder(cli, join(store, name), material, meta.fingerprint),
    LOCK_WAIT_MS,
  );
}

// meta.json last: a folder without it does not count, and one with an old one is updated again.
async function fillFolder(cli: Cli, folder: string, material: Material, fingerprint: string): Promise<void> {
  const now = cli.now();
  let meta: InstanceMeta = emptyMeta(fingerprint, now);
  let files: ReadonlyMap<string, Uint8Array | string>;
  makeFolder(join(folder, 'tuf'), 0o755);
  if (material.kind === 'tuf') {
    const { url, root } = material;
    const store = tufStore(join(folder, 'tuf'));
    const update = await updateTuf({ url, trustedRootBytes: root, store, fetch: cli.fetch, now, targets: TARGETS });
    requireUsable(url, update.files);
    const { root: trusted, targets } = update;
    meta = {
      ...meta,
      url,
      rootVersion: trusted.version,
      rootExpires: trusted.expires,
      targetsVersion: targets.version,
    };
    files = update.files;
  } else {
    files = material.files;
  }
  for (const name of TARGETS) {
    const bytes = files.get(name);
    if (bytes === undefined) rmSync(join(folder, name), { force: true });
    else writeFileAtomic(join(folder, name), bytes, 0o644);
  }
  writeFileAtomic(join(folder, META), serializeMeta(meta), 0o644);
}

const emptyMeta = (fingerprint: string, fetchedAt: Date): InstanceMeta => ({
  url: undefined,
  fingerprint,
  fetchedAt,
  rootVersion: undefined,
  rootExpires: undefined,
  targetsVersion: undefined,
});

function tufStore(folder: string): TufStore {
  return {
    read: (name) => readIfThere(join(folder, name)),
    write: (name, bytes) => writeFileAtomic(join(folder, name), bytes, 0o644),
  };
}

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

/** Removes what is stored under a name. */
export async function removeInstance(cli: Cli, name: string): Promise<void> {
  const store = requireStore(cli);
  await withLock(
    join(store, '.lock'),
    () => {
      // Moved away first, so that there is no moment with half an instance.
      const temporary = join(store, `.${name}.${randomUUID()}`);
      renameSync(join(store, name), temporary);
      rmSync(temporary, { recursive: true, force: true });
    },
    LOCK_WAIT_MS,
  );
}
