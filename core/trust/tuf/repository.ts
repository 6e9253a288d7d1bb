import { equal, serializeHex, serializeUtf8 } from '../../bytes/bytes.ts';
import type { Json } from '../../bytes/json.ts';
import { sha256 } from '../../crypto/hash.ts';
import { type PrivateKey, sign } from '../../crypto/private-key.ts';
import { InputError, TrustError } from '../../errors.ts';
import { serializeTime } from '../fields.ts';
import { canonicalizeTufJson } from './canonical-json.ts';
import { serializeTufKey } from './keys.ts';
import {
  type Metadata,
  parseRoot,
  parseSnapshot,
  parseTargets,
  parseTimestamp,
  type RoleName,
  type Root,
  type Targets,
  verifyMetadata,
} from './metadata.ts';
import { isPlainName } from './names.ts';

/**
 * The published files by their path below the mirror URL, and all the state that there is: keep it, pass it back. Written
 * in the map's order, a crash between two files leaves a repository that clients accept, for the timestamp comes last.
 */
export type RepositoryFiles = ReadonlyMap<string, Uint8Array>;

/** The root key signs root metadata alone; the online key all that is renewed often. P-256 or Ed25519, never the same. */
export interface RepositoryKeys {
  readonly root: PrivateKey;
  readonly online: PrivateKey;
}

export interface RepositoryTarget {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** For clients that look for keys by their use instead of reading trusted_root.json. */
  readonly legacy?: {
    readonly usage: 'Rekor' | 'Fulcio' | 'CTFE' | 'TSA';
    readonly uri: string;
    /** Expired: not for what is made from now on. */
    readonly status: 'Active' | 'Expired';
  };
}

export interface PublishedRepository {
  readonly files: RepositoryFiles;
  /** When to publish again, at the latest. */
  readonly renewAt: Date;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * Days that each role is valid from its signing, and days of these left when it is signed anew. A week is how long an
 * attacker can hold clients on an old timestamp, and outlives a weekend of downtime; the others change by content, and
 * are renewed half a year early so that a server that runs now and then does not let them lapse.
 */
const LIFETIME_DAYS: Record<RoleName, { valid: number; renew: number }> = {
  root: { valid: 365, renew: 180 },
  targets: { valid: 365, renew: 180 },
  snapshot: { valid: 365, renew: 180 },
  timestamp: { valid: 7, renew: 6 },
};

const SPEC_VERSION = '1.0.31';

/**
 * Builds the repository with these targets, or brings `previous` up to date: what changed, or is due at `now`, gets the
 * next version. Consistent snapshots; threshold 1; sha256 alone, for with two hashes cosign picks the file name by chance.
 * The first root stays `1.root.json` for ever; another online key makes a new root, another root key is KEY_INVALID.
 */
export function publishRepository(
  previous: RepositoryFiles,
  keys: RepositoryKeys,
  targets: readonly RepositoryTarget[],
  now: Date,
): PublishedRepository {
  const roots = readRoots(previous, keys);
  const before = readCurrent(previous, roots);
  const files = new Map([...previous].filter(([path]) => /^[0-9]+\.root\.json$/.test(path)));

  const root = publishRoot(roots.at(-1), keys, now);
  files.set(`${root.version}.root.json`, root.bytes);

  for (const { name, bytes } of targets) files.set(targetPath(name, bytes), bytes);
  const listing = { targets: Object.fromEntries(targets.map((target) => [target.name, targetJson(target)])) };
  const targetsFile = publishRole('targets', listing, before?.targets, root, keys.online, now);
  files.set(`${targetsFile.version}.targets.json`, targetsFile.bytes);

  const snapshotBody = { meta: { 'targets.json': metaJson(targetsFile) } };
  const snapshotFile = publishRole('snapshot', snapshotBody, before?.snapshot, root, keys.online, now);
  files.set(`${snapshotFile.version}.snapshot.json`, snapshotFile.bytes);

  const timestampBody = { meta: { 'snapshot.json': metaJson(snapshotFile) } };
  const timestampFile = publishRole('timestamp', timestampBody, before?.timestamp, root, keys.online, now);
  if (before !== undefined) keepFilesOf(before, previous, files);
  files.set('timestamp.json', timestampFile.bytes);

  const all = [root, targetsFile, snapshotFile, timestampFile];
  return { files, renewAt: new Date(Math.min(...all.map(({ metadata }) => renewalTime(metadata)))) };
}

/** A signed file, parsed. */
interface RoleFile<S extends Signed = Signed> {
  readonly version: number;
  readonly bytes: Uint8Array;
  readonly metadata: Metadata<S>;
}

interface Signed {
  readonly version: number;
  readonly expires: Date;
}

const renewalTime = ({ role, signed }: Metadata<Signed>): number =>
  signed.expires.getTime() - LIFETIME_DAYS[role].renew * DAY_MS;

/** All roots, oldest first. */
function readRoots(files: RepositoryFiles, keys: RepositoryKeys): RoleFile<Root>[] {
  const { keyid } = serializeTufKey(keys.root.publicKey);
  const roots: RoleFile<Root>[] = [];
  for (let version = 1; ; version++) {
    const bytes = files.get(`${version}.root.json`);
    if (bytes === undefined) return roots;
    const metadata = parseRoot(bytes);
    verifyMetadata(metadata, metadata.signed);
    if (!metadata.signed.roles.root.keyids.has(keyid)) {
      throw new InputError('KEY_INVALID', 'the TUF repository was made with another root key', {
        hint: 'restore the key that belongs to this data directory, or start a new instance with: --data DIR',
      });
    }
    roots.push({ version, bytes, metadata });
  }
}

interface Current {
  readonly targets: RoleFile<Targets>;
  readonly snapshot: RoleFile;
  readonly timestamp: RoleFile;
}

// Verified although it comes from one's own disk: a version that somebody raised could never be lowered again.
function readCurrent(files: RepositoryFiles, roots: readonly RoleFile<Root>[]): Current | undefined {
  // The timestamp is written last: without it nothing was published yet.
  if (!files.has('timestamp.json')) return undefined;
  const timestamp = readRole(files, 'timestamp.json', parseTimestamp, roots);
  const snapshotVersion = timestamp.metadata.signed.snapshot.version;
  const snapshot = readRole(files, `${snapshotVersion}.snapshot.json`, parseSnapshot, roots);
  const targetsVersion = snapshot.metadata.signed.meta.get('targets.json')?.version;
  const targets = readRole(files, `${targetsVersion}.targets.json`, parseTargets, roots);
  return { targets, snapshot, timestamp };
}

function readRole<S extends Signed>(
  files: RepositoryFiles,
  path: string,
  parse: (bytes: Uint8Array) => Metadata<S>,
  roots: readonly RoleFile<Root>[],
): RoleFile<S> {
  const bytes = files.get(path);
  const metadata = bytes && parse(bytes);
  if (metadata === undefined || !roots.some((root) => isSigned(metadata, root.metadata.signed))) {
    throw new InputError('TUF_METADATA_INVALID', `the TUF repository on disk is damaged: ${path}`, {
      hint: 'restore the data directory from a backup; clients refuse a repository whose versions start again',
    });
  }
  return { version: metadata.signed.version, bytes: bytes as Uint8Array, metadata };
}

function isSigned(metadata: Metadata<Signed>, root: Root): boolean {
  try {
    verifyMetadata(metadata, root);
    return true;
  } catch (error) {
    if (error instanceof TrustError) return false;
    throw error;
  }
}

function publishRoot(latest: RoleFile<Root> | undefined, keys: RepositoryKeys, now: Date): RoleFile<Root> {
  const rootKey = serializeTufKey(keys.root.publicKey);
  const onlineKey = serializeTufKey(keys.online.publicKey);
  const isCurrent = latest?.metadata.signed.roles.timestamp.keyids.has(onlineKey.keyid);
  if (latest !== undefined && isCurrent && now.getTime() < renewalTime(latest.metadata)) return latest;

  const online = { keyids: [onlineKey.keyid], threshold: 1 };
  const body = {
    consistent_snapshot: true,
    keys: { [rootKey.keyid]: rootKey.json, [onlineKey.keyid]: onlineKey.json },
    roles: {
      root: { keyids: [rootKey.keyid], threshold: 1 },
      snapshot: online,
      targets: online,
      timestamp: online,
    },
  };
  const version = (latest?.version ?? 0) + 1;
  const bytes = signFile(signedJson('root', body, version, expiryFrom('root', now)), keys.root);
  return { version, bytes, metadata: parseRoot(bytes) };
}

/** The file from before, if it says the same, is not due and its key still counts; else the next version. */
function publishRole<S extends Signed>(
  role: Exclude<RoleName, 'root'>,
  body: Record<string, Json>,
  before: RoleFile<S> | undefined,
  root: RoleFile<Root>,
  key: PrivateKey,
  now: Date,
): RoleFile {
  if (before !== undefined && now.getTime() < renewalTime(before.metadata)) {
    const same = signedJson(role, body, before.version, before.metadata.signed.expires);
    if (equal(canonical(same), before.metadata.signedBytes) && isSigned(before.metadata, root.metadata.signed))
      return before;
  }
  const version = (before?.version ?? 0) + 1;
  const bytes = signFile(signedJson(role, body, version, expiryFrom(role, now)), key);
  const parse = { targets: parseTargets, snapshot: parseSnapshot, timestamp: parseTimestamp }[role];
  return { version, bytes, metadata: parse(bytes) };
}

function expiryFrom(role: RoleName, now: Date): Date {
  const whole = Math.floor(now.getTime() / 1000) * 1000;
  return new Date(whole + LIFETIME_DAYS[role].valid * DAY_MS);
}

function signedJson(role: RoleName, body: Record<string, Json>, version: number, expires: Date): Json {
  return { _type: role, spec_version: SPEC_VERSION, version, expires: serializeTime(expires), ...body };
}

const canonical = (json: Json): Uint8Array => serializeUtf8(canonicalizeTufJson(json));

function signFile(signed: Json, key: PrivateKey): Uint8Array {
  const { keyid } = serializeTufKey(key.publicKey);
  const sig = serializeHex(sign(key, canonical(signed)));
  return serializeUtf8(`${JSON.stringify({ signatures: [{ keyid, sig }], signed }, null, 1)}\n`);
}

const hashJson = (bytes: Uint8Array): Json => ({ sha256: serializeHex(sha256(bytes)) });

const metaJson = ({ version, bytes }: RoleFile): Json => ({ version, length: bytes.length, hashes: hashJson(bytes) });

function targetJson({ bytes, legacy }: RepositoryTarget): Json {
  return {
    length: bytes.length,
    hashes: hashJson(bytes),
    ...(legacy && { custom: { sigstore: { usage: legacy.usage, status: legacy.status, uri: legacy.uri } } }),
  };
}

function targetPath(name: string, bytes: Uint8Array): string {
  if (!isPlainName(name)) throw new Error(`internal: target name ${name}`);
  return `targets/${serializeHex(sha256(bytes))}.${name}`;
}

// A client that read the timestamp before this one still finds what that names.
function keepFilesOf(before: Current, previous: RepositoryFiles, files: Map<string, Uint8Array>): void {
  files.set(`${before.targets.version}.targets.json`, before.targets.bytes);
  files.set(`${before.snapshot.version}.snapshot.json`, before.snapshot.bytes);
  for (const [name, { hashes }] of before.targets.metadata.signed.targets) {
    const path = `targets/${hashes.get('sha256')}.${name}`;
    const bytes = previous.get(path);
    if (bytes !== undefined) files.set(path, bytes);
  }
}
