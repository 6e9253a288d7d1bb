import { parseHex, serializeHex, serializeUtf8 } from '../../bytes/bytes.ts';
import { Fields } from '../../bytes/fields.ts';
import { type Json, parseJson } from '../../bytes/json.ts';
import { isValidSignature } from '../../crypto/verify.ts';
import { InputError, TrustError } from '../../errors.ts';
import { MAX_TRUST_FILE_BYTES, MAX_TUF_LIST } from '../../limits.ts';
import { canonicalizeTufJson } from './canonical-json.ts';
import { parseTufKey, type TufKey } from './keys.ts';

/** The four top-level roles of TUF specification §4. */
export type RoleName = 'root' | 'timestamp' | 'snapshot' | 'targets';

interface Common {
  readonly version: number;
  readonly expires: Date;
}

/** Who may sign for a role, and how many of them have to. */
interface Role {
  readonly keyids: ReadonlySet<string>;
  readonly threshold: number;
}

/** §4.3 */
export interface Root extends Common {
  readonly consistentSnapshot: boolean;
  readonly keys: ReadonlyMap<string, TufKey>;
  readonly roles: Readonly<Record<RoleName, Role>>;
}

/** What metadata says about a metadata file (§4.4, §4.6): length and hashes are optional, in lower-case hexadecimal. */
export interface MetaFile {
  readonly version: number;
  readonly length: number | undefined;
  readonly hashes: ReadonlyMap<'sha256' | 'sha512', string>;
}

/** §4.6 */
export interface Timestamp extends Common {
  readonly snapshot: MetaFile;
}

/** §4.4; only the top-level targets role is used, versions of all are watched for rollback. */
export interface Snapshot extends Common {
  readonly meta: ReadonlyMap<string, MetaFile>;
}

/** §4.5 */
export interface TargetFile {
  readonly length: number;
  readonly hashes: ReadonlyMap<'sha256' | 'sha512', string>;
}

/** §4.5; delegations are not followed. */
export interface Targets extends Common {
  readonly targets: ReadonlyMap<string, TargetFile>;
}

/** A parsed file whose signatures nobody has verified yet. */
export interface Metadata<S extends Common> {
  readonly role: RoleName;
  readonly signed: S;
  /** The canonical bytes that the signatures are over. */
  readonly signedBytes: Uint8Array;
  readonly signatures: readonly { readonly keyid: string; readonly signature: Uint8Array }[];
}

const CODE = 'TUF_METADATA_INVALID';
const SET_UP_ANEW =
  'the repository was tampered with, or the instance was set up anew; if its operator says so, remove it and add it again';

export const parseRoot = (bytes: Uint8Array): Metadata<Root> => parseMetadata('root', bytes, parseRootFields);
export const parseTimestamp = (bytes: Uint8Array): Metadata<Timestamp> =>
  parseMetadata('timestamp', bytes, parseTimestampFields);
export const parseSnapshot = (bytes: Uint8Array): Metadata<Snapshot> =>
  parseMetadata('snapshot', bytes, parseSnapshotFields);
export const parseTargets = (bytes: Uint8Array): Metadata<Targets> =>
  parseMetadata('targets', bytes, parseTargetsFields);

// §4.2. Members that are not known are passed over, but signed: the canonical bytes are those of all that was there.
function parseMetadata<S>(role: RoleName, bytes: Uint8Array, parse: (fields: Fields) => S): Metadata<S & Common> {
  const envelope = new Fields(parseAsMetadata(bytes), role, CODE);
  const signatures = envelope.objects('signatures', MAX_TUF_LIST).map((entry) => {
    try {
      return { keyid: entry.string('keyid'), signature: parseHex(entry.string('sig')) };
    } catch (cause) {
      throw entry.fail('sig', 'expected a key ID and a signature in hexadecimal', cause);
    }
  });
  const fields = envelope.object('signed');
  if (fields.string('_type') !== role) throw fields.fail('_type', `expected ${role}`);
  if (!/^1(?:\.[0-9]{1,4}){1,2}$/.test(fields.string('spec_version')))
    throw fields.fail('spec_version', 'expected version 1 of the TUF specification');
  const expires = fields.optionalTime('expires');
  if (expires === undefined) throw fields.fail('expires', 'missing');
  const signed = { version: parseVersion(fields), expires, ...parse(fields) };
  return { role, signed, signedBytes: serializeUtf8(canonicalizeTufJson(envelope.json('signed') ?? null)), signatures };
}

function parseAsMetadata(bytes: Uint8Array): Json {
  try {
    return parseJson(bytes);
  } catch (cause) {
    throw new InputError(CODE, `not TUF metadata: ${(cause as Error).message}`, { cause });
  }
}

function parseVersion(fields: Fields): number {
  const version = fields.optionalInteger('version', 1, 2 ** 31 - 1);
  if (version === undefined) throw fields.fail('version', 'missing');
  return version;
}

function parseRootFields(fields: Fields): Omit<Root, keyof Common> {
  const keyFields = fields.object('keys');
  const keys = new Map(namesOf(keyFields).map((keyid) => [keyid, parseTufKey(keyFields.object(keyid))]));
  const roles = fields.object('roles');
  const role = (name: RoleName): Role => parseRole(roles.object(name), keys);
  return {
    consistentSnapshot: fields.optionalBoolean('consistent_snapshot') ?? false,
    keys,
    roles: { root: role('root'), timestamp: role('timestamp'), snapshot: role('snapshot'), targets: role('targets') },
  };
}

function parseRole(fields: Fields, keys: ReadonlyMap<string, TufKey>): Role {
  const keyids = fields.array('keyids', MAX_TUF_LIST);
  for (const keyid of keyids) {
    if (typeof keyid !== 'string' || !keys.has(keyid)) throw fields.fail('keyids', 'names a key that is not listed');
  }
  const distinct = new Set(keyids as string[]);
  if (distinct.size !== keyids.length) throw fields.fail('keyids', 'names a key twice');
  const threshold = fields.optionalInteger('threshold', 1, MAX_TUF_LIST);
  if (threshold === undefined) throw fields.fail('threshold', 'missing');
  return { keyids: distinct, threshold };
}

function parseTimestampFields(fields: Fields): Omit<Timestamp, keyof Common> {
  return { snapshot: parseMetaFile(fields.object('meta').object('snapshot.json')) };
}

function parseSnapshotFields(fields: Fields): Omit<Snapshot, keyof Common> {
  const meta = fields.object('meta');
  return { meta: new Map(namesOf(meta).map((name) => [name, parseMetaFile(meta.object(name))])) };
}

function parseTargetsFields(fields: Fields): Omit<Targets, keyof Common> {
  const targets = fields.object('targets');
  return { targets: new Map(namesOf(targets).map((name) => [name, parseTargetFile(targets.object(name))])) };
}

function parseMetaFile(fields: Fields): MetaFile {
  return {
    version: parseVersion(fields),
    length: fields.optionalInteger('length', 1, MAX_TRUST_FILE_BYTES),
    hashes: parseHashes(fields.optionalObject('hashes')),
  };
}

function parseTargetFile(fields: Fields): TargetFile {
  const length = fields.optionalInteger('length', 0, Number.MAX_SAFE_INTEGER);
  if (length === undefined) throw fields.fail('length', 'missing');
  const hashes = parseHashes(fields.object('hashes'));
  if (hashes.size === 0) throw fields.fail('hashes', 'neither sha256 nor sha512');
  return { length, hashes };
}

function parseHashes(fields: Fields | undefined): Map<'sha256' | 'sha512', string> {
  const hashes = new Map<'sha256' | 'sha512', string>();
  for (const [name, digits] of [
    ['sha256', 64],
    ['sha512', 128],
  ] as const) {
    const hash = fields?.optionalString(name);
    if (hash === undefined) continue;
    if (hash.length !== digits || !/^[0-9a-f]+$/.test(hash)) throw fields?.fail(name, 'expected a hash in hexadecimal');
    hashes.set(name, hash);
  }
  return hashes;
}

function namesOf(fields: Fields): string[] {
  const names = fields.keys();
  if (names.length > MAX_TUF_LIST) throw new InputError(CODE, `${fields.path}: more than ${MAX_TUF_LIST} members`);
  return names;
}

/**
 * Requires that `metadata` is signed as `root` demands for its role: by the threshold of keys of that role, where a key
 * counts once under however many IDs it is listed. TUF_SIGNATURE_INVALID.
 */
export function verifyMetadata(metadata: Metadata<Common>, root: Root): void {
  const role = root.roles[metadata.role];
  const signers = new Set<string>();
  const tried = new Set<string>();
  for (const { keyid, signature } of metadata.signatures) {
    // A key signs once (§4.2): who repeats its ID would only have us verify for ever.
    if (tried.has(keyid)) continue;
    tried.add(keyid);
    const listed = role.keyids.has(keyid) ? root.keys.get(keyid) : undefined;
    if (listed?.key === undefined) continue;
    if (isValidSignature(listed.key, listed.hash, metadata.signedBytes, signature))
      signers.add(serializeHex(listed.key.spki));
  }
  if (signers.size < role.threshold) {
    throw new TrustError(
      'TUF_SIGNATURE_INVALID',
      `TUF ${metadata.role} ${metadata.signed.version} has ${signers.size} of the ${role.threshold} signatures it needs`,
      { hint: SET_UP_ANEW },
    );
  }
}
