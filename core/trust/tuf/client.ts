import { serializeHex } from '../../bytes/bytes.ts';
import { digest } from '../../crypto/hash.ts';
import { HallmarkError, ServiceError, TrustError } from '../../errors.ts';
import {
  MAX_TRUST_FILE_BYTES,
  MAX_TUF_ROOT_BYTES,
  MAX_TUF_ROOT_ROTATIONS,
  MAX_TUF_TIMESTAMP_BYTES,
} from '../../limits.ts';
import {
  type Metadata,
  type MetaFile,
  parseRoot,
  parseSnapshot,
  parseTargets,
  parseTimestamp,
  type Root,
  type Snapshot,
  type TargetFile,
  type Targets,
  type Timestamp,
  verifyMetadata,
} from './metadata.ts';
import type { Mirror } from './mirror.ts';
import { isPlainName } from './names.ts';

/** Where trusted metadata is kept between updates. The names are those of `StoredName`, never anything from outside. */
export interface TufStore {
  read(name: StoredName): Uint8Array | undefined;
  write(name: StoredName, bytes: Uint8Array): void;
}

/** The newest of each role, and every root that was trusted on the way, by which another can follow. */
export type StoredName = 'root.json' | 'timestamp.json' | 'snapshot.json' | 'targets.json' | `${number}.root.json`;

export interface TufOptions {
  /** Has `timestamp.json` and the folder `targets`. */
  readonly mirror: Mirror;
  /** What errors call the mirror. */
  readonly url: string;
  /** The root to start from if the store holds none. Whoever calls vouches for it. */
  readonly trustedRootBytes: Uint8Array;
  readonly store: TufStore;
  readonly now: Date;
  /** Names of the targets to get; those that the repository does not list are left out of the result. */
  readonly targets: readonly string[];
}

export interface TufUpdate {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly root: Root;
  readonly timestamp: Timestamp;
  readonly targets: Targets;
}

/**
 * Brings the store up to date and gets targets: the client workflow of TUF specification §5 with top-level roles alone.
 * TUF_SIGNATURE_INVALID, TUF_EXPIRED, TUF_ROLLBACK, TUF_TARGET_INVALID, TUF_METADATA_INVALID, or a ServiceError. Each
 * file is stored once it is trusted, so that what was seen cannot be taken back by a later update.
 */
export async function updateTuf(options: TufOptions): Promise<TufUpdate> {
  // §5.2, §5.3 root
  const before = trustedRoot(options);
  const root = await updateRoot(options, before);
  requireFresh(root, options.now);
  // §5.3.11: after a change of their keys, old versions may have been set by whoever had stolen the old keys.
  const remembers = sameSigners(before.signed, root.signed);

  // §5.4 timestamp
  const timestamp = await updateTimestamp(options, root.signed, remembers);
  // §5.5 snapshot
  const snapshot = await updateSnapshot(options, root.signed, timestamp.signed.snapshot, remembers);
  // §5.6 targets
  const targets = await updateTargets(options, root.signed, snapshot.signed);

  // §5.7 target files
  const files = new Map<string, Uint8Array>();
  for (const name of options.targets) {
    const target = targets.signed.targets.get(name);
    if (target !== undefined) files.set(name, await fetchTarget(options, root.signed, name, target));
  }
  return { files, root: root.signed, timestamp: timestamp.signed, targets: targets.signed };
}

/** §5.2. The stored root counts if it still holds up against itself, else the one that was given. */
function trustedRoot({ store, trustedRootBytes }: TufOptions): Metadata<Root> {
  const stored = readStored(store, 'root.json', parseRoot);
  if (stored !== undefined && isAcceptable(() => verifyMetadata(stored, stored.signed))) return stored;
  const given = parseRoot(trustedRootBytes);
  verifyMetadata(given, given.signed);
  storeRoot(store, given, trustedRootBytes);
  return given;
}

/** §5.3.2 to §5.3.10: one version at a time, each signed by the one before and by itself. */
async function updateRoot({ store, mirror }: TufOptions, trusted: Metadata<Root>): Promise<Metadata<Root>> {
  let current = trusted;
  for (let steps = 0; ; steps++) {
    const version = current.signed.version + 1;
    const bytes = await mirror(`${version}.root.json`, MAX_TUF_ROOT_BYTES);
    if (bytes === undefined) return current;
    if (steps >= MAX_TUF_ROOT_ROTATIONS) {
      throw new TrustError('TUF_ROLLBACK', `more than ${MAX_TUF_ROOT_ROTATIONS} new TUF roots in one update`, {
        hint: 'the mirror makes up roots without end; do not use it',
      });
    }
    const next = parseRoot(bytes);
    verifyMetadata(next, current.signed);
    verifyMetadata(next, next.signed);
    requireVersion(next, version);
    storeRoot(store, next, bytes);
    current = next;
  }
}

// root.json last: what is in it has its place in the history.
function storeRoot(store: TufStore, { signed }: Metadata<Root>, bytes: Uint8Array): void {
  store.write(`${signed.version}.root.json`, bytes);
  store.write('root.json', bytes);
}

/** §5.4 */
async function updateTimestamp(options: TufOptions, root: Root, remembers: boolean): Promise<Metadata<Timestamp>> {
  const stored = remembers ? readStored(options.store, 'timestamp.json', parseTimestamp) : undefined;
  const trusted = stored && isAcceptable(() => verifyMetadata(stored, root)) ? stored : undefined;

  const bytes = await fetchMetadata(options, 'timestamp.json', MAX_TUF_TIMESTAMP_BYTES);
  const fetched = parseTimestamp(bytes);
  verifyMetadata(fetched, root);
  if (trusted !== undefined) {
    requireNotOlder('timestamp', fetched.signed.version, trusted.signed.version);
    requireNotOlder('snapshot', fetched.signed.snapshot.version, trusted.signed.snapshot.version);
  }
  // §5.4.3.1: the same version is the one that is trusted already, whatever the mirror now says under it.
  const timestamp = trusted?.signed.version === fetched.signed.version ? trusted : fetched;
  requireFresh(timestamp, options.now);
  if (timestamp === fetched) options.store.write('timestamp.json', bytes);
  return timestamp;
}

/** §5.5 */
async function updateSnapshot(
  options: TufOptions,
  root: Root,
  meta: MetaFile,
  remembers: boolean,
): Promise<Metadata<Snapshot>> {
  const stored = remembers ? readStored(options.store, 'snapshot.json', parseSnapshot) : undefined;
  const trusted = stored && isAcceptable(() => verifyMetadata(stored, root)) ? stored : undefined;

  const path = root.consistentSnapshot ? `${meta.version}.snapshot.json` : 'snapshot.json';
  const bytes = await fetchMetadata(options, path, meta.length ?? MAX_TRUST_FILE_BYTES);
  requireContent(bytes, meta, path);
  const fetched = parseSnapshot(bytes);
  verifyMetadata(fetched, root);
  requireVersion(fetched, meta.version);
  // §5.5.5: no file that was listed may vanish or go back.
  for (const [name, { version }] of trusted?.signed.meta ?? []) {
    const now = fetched.signed.meta.get(name);
    if (now === undefined) throw rollback(`snapshot no longer lists ${JSON.stringify(name.slice(0, 100))}`);
    requireNotOlder(name.slice(0, 100), now.version, version);
  }
  requireFresh(fetched, options.now);
  options.store.write('snapshot.json', bytes);
  return fetched;
}

/** §5.6 */
async function updateTargets(options: TufOptions, root: Root, snapshot: Snapshot): Promise<Metadata<Targets>> {
  const meta = snapshot.meta.get('targets.json');
  if (meta === undefined) throw new TrustError('TUF_TARGET_INVALID', 'the TUF snapshot does not list targets.json');
  const path = root.consistentSnapshot ? `${meta.version}.targets.json` : 'targets.json';
  const bytes = await fetchMetadata(options, path, meta.length ?? MAX_TRUST_FILE_BYTES);
  requireContent(bytes, meta, path);
  const fetched = parseTargets(bytes);
  verifyMetadata(fetched, root);
  requireVersion(fetched, meta.version);
  requireFresh(fetched, options.now);
  options.store.write('targets.json', bytes);
  return fetched;
}

/** §5.7. The name becomes a part of a URL, so it has to be plain. */
async function fetchTarget(options: TufOptions, root: Root, name: string, target: TargetFile): Promise<Uint8Array> {
  if (!isPlainName(name))
    throw new TrustError('TUF_TARGET_INVALID', `target name ${JSON.stringify(name)} is not plain`);
  if (target.length > MAX_TRUST_FILE_BYTES) {
    throw new TrustError('TUF_TARGET_INVALID', `target ${name} is larger than ${MAX_TRUST_FILE_BYTES} bytes`);
  }
  const hash = target.hashes.get('sha256') ?? target.hashes.get('sha512');
  const path = `targets/${root.consistentSnapshot ? `${hash}.` : ''}${name}`;
  const bytes = await fetchMetadata(options, path, target.length);
  requireContent(bytes, target, path);
  return bytes;
}

async function fetchMetadata({ mirror, url }: TufOptions, path: string, max: number): Promise<Uint8Array> {
  const bytes = await mirror(path, max);
  if (bytes !== undefined) return bytes;
  throw new ServiceError('SERVICE_ANSWER_INVALID', `the TUF repository at ${url} lacks ${path}`, {
    hint: 'is it the URL of a TUF repository, and is it complete?',
  });
}

function readStored<T>(store: TufStore, name: StoredName, parse: (bytes: Uint8Array) => T): T | undefined {
  const bytes = store.read(name);
  let parsed: T | undefined;
  if (bytes !== undefined) isAcceptable(() => (parsed = parse(bytes)));
  return parsed;
}

// What is stored and no longer valid, after a change of keys for one, is as good as absent (§5.4, §5.5).
function isAcceptable(attempt: () => void): boolean {
  try {
    attempt();
    return true;
  } catch (error) {
    if (error instanceof HallmarkError) return false;
    throw error;
  }
}

function sameSigners(before: Root, after: Root): boolean {
  return (['timestamp', 'snapshot'] as const).every((role) => {
    const [old, current] = [before.roles[role].keyids, after.roles[role].keyids];
    return old.size === current.size && [...old].every((keyid) => current.has(keyid));
  });
}

/** Freeze attack: what has expired is not accepted as the newest (§5.3.10, §5.4.4, §5.5.6, §5.6.5). */
function requireFresh({ role, signed }: Metadata<{ version: number; expires: Date }>, now: Date): void {
  if (now.getTime() < signed.expires.getTime()) return;
  throw new TrustError('TUF_EXPIRED', `TUF ${role} ${signed.version} expired on ${signed.expires.toISOString()}`, {
    hint: 'check the clock of this computer (date -u); if it is right, the operator of the instance has to sign anew',
  });
}

function requireVersion({ role, signed }: Metadata<{ version: number; expires: Date }>, version: number): void {
  if (signed.version !== version) throw rollback(`${role} has version ${signed.version} where ${version} is due`);
}

function requireNotOlder(what: string, version: number, trusted: number): void {
  if (version < trusted) throw rollback(`${what} has version ${version}, older than the ${trusted} seen before`);
}

const rollback = (problem: string): TrustError =>
  new TrustError('TUF_ROLLBACK', `TUF rollback: ${problem}`, {
    hint: 'the mirror shows an old state, or the instance was set up anew; if so, remove and add it again',
  });

function requireContent(
  bytes: Uint8Array,
  expected: Pick<TargetFile, 'hashes'> & { length: number | undefined },
  path: string,
): void {
  const isWrong =
    (expected.length !== undefined && bytes.length !== expected.length) ||
    [...expected.hashes].some(([name, hash]) => serializeHex(digest(name, bytes)) !== hash);
  if (!isWrong) return;
  throw new TrustError('TUF_TARGET_INVALID', `${path} is not the file that was signed: length or hash differs`, {
    hint: 'try again in a minute; if it stays, the mirror was tampered with, or the instance was set up anew',
  });
}
