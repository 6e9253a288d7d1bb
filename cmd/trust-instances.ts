import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';
import { shellWord } from '../core/bytes/printable.ts';
import { HallmarkError, InputError, type InputErrorCode, TrustError, UsageError } from '../core/errors.ts';
import { makeFolder, readFileBounded, writeFileAtomic } from '../core/files.ts';
import { MAX_TRUST_FILE_BYTES } from '../core/limits.ts';
import { PUBLIC_GOOD } from '../core/trust/public-good.ts';
import { parseSigningConfig, type SigningConfig } from '../core/trust/signing-config.ts';
import { parseTrustedRoot, type TrustedRoot } from '../core/trust/trusted-root.ts';
import type { Cli } from './cli.ts';
import { requireXdgDirectory, xdgDirectory } from './xdg.ts';

/*
 * On disk:
 *   $XDG_CONFIG_HOME/hallmark/trust.json          {"use": NAME}: the instance in use
 *   $XDG_DATA_HOME/hallmark/trust/NAME/           one folder per instance, public-good too once it was updated:
 *     meta.json                                   where it came from and when
 *     trusted_root.json, signing_config.v0.2.json, signing_config_rekor_v2.v0.2.json (the last two if it has them)
 *     tuf/{root,timestamp,snapshot,targets}.json  trusted TUF metadata, if it came from a TUF repository
 *     tuf/N.root.json                             every root that was trusted, from the first one on
 *     source.json                                 the file, if it came from one
 */

/** The files of an instance, named as its TUF repository names them. */
export const TRUSTED_ROOT = 'trusted_root.json';
export const SIGNING_CONFIG = 'signing_config.v0.2.json';
export const SIGNING_CONFIG_REKOR_V2 = 'signing_config_rekor_v2.v0.2.json';
export const META = 'meta.json';
/** What an instance that did not come from a TUF repository was made from, byte for byte. */
export const SOURCE = 'source.json';

/** Where an instance's material came from. TUF versions and dates are there only with a `url`. */
export interface InstanceMeta {
  /** Base URL of the TUF repository; undefined if the instance was added from a file. */
  readonly url: string | undefined;
  /** `sha256:` and the hash of the first TUF root, or of the file. */
  readonly fingerprint: string;
  readonly fetchedAt: Date;
  readonly rootVersion: number | undefined;
  readonly rootExpires: Date | undefined;
  readonly targetsVersion: number | undefined;
}

/** Whole days since the material was fetched, 0 if the clock says that this is still to come. */
export function ageInDays(meta: InstanceMeta, now: Date): number {
  return Math.max(0, Math.floor((now.getTime() - meta.fetchedAt.getTime()) / 86_400_000));
}

/** An instance that can be used. `read` gives one of its files, undefined if it has none of that name. */
export interface Instance {
  readonly name: string;
  readonly builtIn: boolean;
  /** Where its files are; undefined if it is built in. */
  readonly folder: string | undefined;
  readonly meta: InstanceMeta;
  readonly read: (file: string) => Uint8Array | undefined;
}

/** The folder that holds the instances' folders; made if it is absent. */
export function requireStore(cli: Cli): string {
  const store = join(requireXdgDirectory(cli, 'data', 'trust material'), 'trust');
  makeFolder(store, 0o755);
  return store;
}

/** A name is one plain path segment. UsageError for any other. */
export function requireName(name: string): string {
  if (/^[a-z0-9][a-z0-9._-]{0,63}$/.test(name)) return name;
  throw new UsageError(`not a name for trust: ${JSON.stringify(name.slice(0, 80))}`, {
    hint: 'up to 64 of a-z, 0-9, ".", "_" and "-", beginning with a letter or digit',
  });
}

/** The instance that is used when none is named. */
export function nameInUse(cli: Cli): string {
  const directory = xdgDirectory(cli, 'config');
  const path = directory && join(directory, 'trust.json');
  const bytes = path && readIfThere(path);
  if (!bytes) return PUBLIC_GOOD.name;
  return inFile(path, () => requireName(new Fields(parseJson(bytes), '', 'CONFIG_INVALID').string('use')));
}

export function setNameInUse(cli: Cli, name: string): void {
  const directory = requireXdgDirectory(cli, 'config', 'trust material');
  makeFolder(directory, 0o755);
  writeFileAtomic(join(directory, 'trust.json'), `${JSON.stringify({ use: name })}\n`, 0o644);
}

/** The instance of that name; TRUST_UNKNOWN if there is none. */
export function requireInstance(cli: Cli, name: string): Instance {
  const instance = findInstance(cli, requireName(name));
  if (instance !== undefined) return instance;
  throw new TrustError('TRUST_UNKNOWN', `no trust named ${name} is stored`, {
    hint: `hallmark trust list\nhallmark trust add URL --name ${shellWord(name)}`,
  });
}

export function findInstance(cli: Cli, name: string): Instance | undefined {
  const stored = findStored(cli, name);
  if (name !== PUBLIC_GOOD.name) return stored;
  // A newer program may know more than what an older one stored.
  const isNewer = stored !== undefined && (stored.meta.targetsVersion ?? 0) >= PUBLIC_GOOD.targetsVersion;
  return isNewer ? stored : builtIn();
}

/** What is in the store and is no instance, or one that is damaged. */
export interface UnusableInstance {
  readonly name: string;
  readonly error: HallmarkError;
}

/** All instances by name, the built-in one first, and what only looks like one. */
export function listInstances(cli: Cli): { instances: Instance[]; unusable: UnusableInstance[] } {
  const instances: Instance[] = [];
  const unusable: UnusableInstance[] = [];
  const others = listStored(cli).filter((name) => name !== PUBLIC_GOOD.name);
  for (const name of [PUBLIC_GOOD.name, ...others]) {
    try {
      instances.push(requireInstance(cli, name));
    } catch (error) {
      if (!(error instanceof HallmarkError)) throw error;
      unusable.push({ name, error });
    }
  }
  return { instances, unusable };
}

/** The names of all that is in the store, whatever it is; what begins with a dot is the store's own. */
export function listStored(cli: Cli): string[] {
  const data = xdgDirectory(cli, 'data');
  const names = data === undefined ? [] : listFolder(join(data, 'trust'));
  return names.filter((name) => !name.startsWith('.')).sort();
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function findStored(cli: Cli, name: string): Instance | undefined {
  const data = xdgDirectory(cli, 'data');
  if (data === undefined) return undefined;
  const folder = join(data, 'trust', name);
  const read = (file: string): Uint8Array | undefined => readIfThere(join(folder, file));
  const bytes = read(META);
  if (bytes === undefined) return undefined;
  const remedy = `hallmark trust remove ${name}`;
  return { name, builtIn: false, folder, meta: inFile(join(folder, META), () => parseMeta(bytes), remedy), read };
}

function builtIn(): Instance {
  const files: Record<string, string> = {
    'tuf/root.json': PUBLIC_GOOD.root,
    [TRUSTED_ROOT]: PUBLIC_GOOD.trustedRoot,
    [SIGNING_CONFIG]: PUBLIC_GOOD.signingConfig,
    [SIGNING_CONFIG_REKOR_V2]: PUBLIC_GOOD.signingConfigRekorV2,
  };
  return {
    name: PUBLIC_GOOD.name,
    builtIn: true,
    folder: undefined,
    meta: {
      url: PUBLIC_GOOD.tufUrl,
      fingerprint: PUBLIC_GOOD.fingerprint,
      fetchedAt: PUBLIC_GOOD.asOf,
      rootVersion: PUBLIC_GOOD.rootVersion,
      rootExpires: PUBLIC_GOOD.rootExpires,
      targetsVersion: PUBLIC_GOOD.targetsVersion,
    },
    read: (file) => (Object.hasOwn(files, file) ? serializeUtf8(files[file] as string) : undefined),
  };
}

function parseMeta(bytes: Uint8Array): InstanceMeta {
  const fields = new Fields(parseJson(bytes), '', 'CONFIG_INVALID');
  const fetchedAt = fields.optionalTime('fetchedAt');
  if (fetchedAt === undefined) throw fields.fail('fetchedAt', 'missing');
  return {
    url: fields.optionalString('url'),
    fingerprint: fields.string('fingerprint'),
    fetchedAt,
    rootVersion: fields.optionalInteger('rootVersion', 1, 2 ** 31),
    rootExpires: fields.optionalTime('rootExpires'),
    targetsVersion: fields.optionalInteger('targetsVersion', 1, 2 ** 31),
  };
}

/** The instance's trusted root; TRUST_UNKNOWN if its folder lost it. */
export function readTrustedRoot(instance: Instance): TrustedRoot {
  const bytes = instance.read(TRUSTED_ROOT);
  if (bytes !== undefined)
    return inFile(join(instance.folder ?? instance.name, TRUSTED_ROOT), () => parseTrustedRoot(bytes));
  throw new TrustError('TRUST_UNKNOWN', `the stored trust ${instance.name} has no ${TRUSTED_ROOT}`, {
    hint: `hallmark trust update ${instance.name}`,
  });
}

/** The instance's signing config of that file name, undefined if it has none. */
export function readSigningConfig(instance: Instance, file: string): SigningConfig | undefined {
  const bytes = instance.read(file);
  return bytes && inFile(join(instance.folder ?? instance.name, file), () => parseSigningConfig(bytes));
}

/** What meta.json holds; dates in RFC 3339. */
export function serializeMeta(meta: InstanceMeta): string {
  return `${JSON.stringify(meta, null, 2)}\n`;
}

/** A file of the store, undefined if it is absent. */
export function readIfThere(path: string): Uint8Array | undefined {
  try {
    return readFileBounded(path, MAX_TRUST_FILE_BYTES, 'trust file');
  } catch (error) {
    if (error instanceof InputError && error.code === 'INPUT_MISSING') return undefined;
    throw error;
  }
}

/** Runs a parser of the file `path`: it knows what is wrong, not in which file. `remedy` is for what is beyond repair. */
export function inFile<T>(path: string, parse: () => T, remedy?: string): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof InputError)) throw cause;
    throw new InputError(cause.code as InputErrorCode, `${path}: ${cause.message}`, {
      cause,
      hint: [cause.hint ?? `see what it is: head ${shellWord(path)}`, remedy]
        .filter((line) => line !== undefined)
        .join('\n'),
    });
  }
}
