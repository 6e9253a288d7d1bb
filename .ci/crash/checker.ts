// Holds a server to all that it has ever promised, through its public interface alone and with Merkle and DER code of its
// own (rfc6962.ts, certificate-leaf.ts). Every finding is one line; no findings is a pass.
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { ctLeafHash } from './certificate-leaf.ts';
import { ask, read } from './http.ts';
import { leafHash, rootOfPath, rootsOfPrefixes, tileLevelAbove } from './rfc6962.ts';
import { type LogEntry, type Promised, type Promises, promisedV1, type TreeHead } from './signing.ts';

/** Keys and trust as the very first start published them. */
export interface Keys {
  readonly v1: KeyObject;
  readonly v2: KeyObject;
  readonly ct: KeyObject;
  readonly trustedRoot: string;
}

export async function readKeys(url: string): Promise<Keys> {
  const trustedRoot = (await ask(`${url}/trusted_root.json`)).body.toString();
  const { tlogs } = JSON.parse(trustedRoot) as { tlogs: { publicKey: { rawBytes: string; keyDetails: string } }[] };
  const v2 = tlogs.find(({ publicKey }) => publicKey.keyDetails === 'PKIX_ED25519');
  if (!v2) throw new Error('the trusted root has no Ed25519 log');
  return {
    v1: createPublicKey((await ask(`${url}/rekor.pub`)).body.toString()),
    v2: createPublicKey({ key: Buffer.from(v2.publicKey.rawBytes, 'base64'), format: 'der', type: 'spki' }),
    ct: createPublicKey((await ask(`${url}/ctfe.pub`)).body.toString()),
    trustedRoot,
  };
}

/** What a log says of one size of its tree; `root` in hexadecimal. */
export interface Head {
  readonly size: number;
  readonly root: string;
}

/** Everything that is wrong, over all three logs. */
export async function findBrokenPromises(url: string, keys: Keys, made: Promises): Promise<string[]> {
  const trustedRoot = (await ask(`${url}/trusted_root.json`)).body.toString();
  const found = [
    ...(trustedRoot === keys.trustedRoot ? [] : ['the trusted root changed']),
    ...made.refusals,
    ...(await checkV1(url, keys.v1, made)),
    ...(await checkV2(url, keys.v2, made)),
    ...(await checkCt(url, keys.ct, made)),
  ];
  return [...new Set(found)];
}

async function checkV1(url: string, key: KeyObject, made: Promises): Promise<string[]> {
  const { treeSize, signedTreeHead } = await read<{ treeSize: number; signedTreeHead: string }>(`${url}/api/v1/log`);
  const entries = await everyOf(treeSize, async (index) => {
    const answer = await read<Record<string, LogEntry>>(`${url}/api/v1/log/entries?logIndex=${index}`);
    return promisedV1(Object.values(answer)[0] as LogEntry);
  });
  const leaves = entries.map(({ body }) => body);
  const notes = [
    signedTreeHead,
    ...made.v1Checkpoints,
    ...[...entries, ...made.v1].map(({ checkpoint }) => checkpoint),
  ];
  return [
    ...findInconsistencies('v1', leaves, openCheckpoints('v1', notes, key)),
    ...findMissing('v1', leaves, made.v1),
    ...findForgotten('v1', leaves, made.acknowledged.v1),
    // The proofs that the restarted server gives for all its entries.
    ...entries.flatMap((entry, index) => findWrongProof(`v1 entry ${index} now`, entry)),
  ];
}

async function checkV2(url: string, key: KeyObject, made: Promises): Promise<string[]> {
  const checkpoint = (await ask(`${url}/api/v2/checkpoint`)).body.toString();
  const size = parseCheckpoint(checkpoint).size;
  const bundles = await everyOf(Math.ceil(size / 256), async (n) => {
    const answer = await ask(`${url}/api/v2/${tile('entries', n, size)}`);
    return splitBundle(answer.body);
  });
  const leaves = bundles.flat();
  const found = leaves.length === size ? [] : [`v2: the entry bundles hold ${leaves.length} entries, not ${size}`];
  // Proofs of this log are made by its readers, from the hash tiles.
  let hashes = leaves.map(leafHash);
  for (let level = 0; hashes.length > 0; level++) {
    const served = await everyOf(
      Math.ceil(hashes.length / 256),
      async (n) => (await ask(`${url}/api/v2/${tile(level, n, hashes.length)}`)).body,
    );
    if (!Buffer.concat(served).equals(Buffer.concat(hashes)))
      found.push(`v2: the tiles of level ${level} are not the tree's`);
    hashes = tileLevelAbove(hashes);
  }
  const notes = [checkpoint, ...made.v2Checkpoints, ...made.v2.map((promised) => promised.checkpoint)];
  return [
    ...found,
    ...findInconsistencies('v2', leaves, openCheckpoints('v2', notes, key)),
    ...findMissing('v2', leaves, made.v2),
    ...findForgotten('v2', leaves, made.acknowledged.v2),
  ];
}

async function checkCt(url: string, key: KeyObject, made: Promises): Promise<string[]> {
  const head = await read<TreeHead>(`${url}/ct/v1/get-sth`);
  const leaves: Buffer[] = [];
  while (leaves.length < head.tree_size) {
    const part = await read<{ entries: { leaf_input: string }[] }>(
      `${url}/ct/v1/get-entries?start=${leaves.length}&end=${head.tree_size - 1}`,
    );
    leaves.push(...part.entries.map((entry) => Buffer.from(entry.leaf_input, 'base64')));
  }
  const heads = [head, ...made.treeHeads].map((treeHead) => openTreeHead(treeHead, key));
  const proofs = await everyOf(made.certificates.length, async (i) => {
    const { leaf, issuer } = made.certificates[i] as Promises['certificates'][number];
    const hash = ctLeafHash(leaf, issuer, key);
    const query = new URLSearchParams({ hash, tree_size: `${head.tree_size}` });
    const answer = await ask(`${url}/ct/v1/get-proof-by-hash?${query}`);
    if (answer.status !== 200) return [`ct: the entry of certificate ${i} is not in the log (${answer.status})`];
    const proof = JSON.parse(answer.body.toString()) as { leaf_index: number; audit_path: string[] };
    const path = proof.audit_path.map((item) => Buffer.from(item, 'base64'));
    const root = rootOfPath(Buffer.from(hash, 'base64'), proof.leaf_index, head.tree_size, path);
    return root === Buffer.from(head.sha256_root_hash, 'base64').toString('hex')
      ? []
      : [`ct: the proof of certificate ${i} is wrong`];
  });
  return [...findInconsistencies('ct', leaves, heads), ...proofs.flat()];
}

/** Heads that are not those of a prefix of the leaves; two heads of one size with different roots among them. */
export function findInconsistencies(
  log: string,
  leaves: readonly Uint8Array[],
  heads: readonly (Head | string)[],
): string[] {
  const roots = rootsOfPrefixes(leaves);
  const rootOfSize = new Map<number, string>();
  return heads.flatMap((head) => {
    if (typeof head === 'string') return [head];
    const { size, root } = head;
    if (size > leaves.length)
      return [`${log}: a checkpoint of size ${size} was handed out, the log has ${leaves.length}`];
    const other = rootOfSize.get(size) ?? root;
    rootOfSize.set(size, root);
    if (other !== root) return [`${log}: two checkpoints of size ${size} have different roots`];
    return roots[size] === root ? [] : [`${log}: a checkpoint of size ${size} is not of this log`];
  });
}

/** Acknowledged entries that are not in the log at their index, twice, or were acknowledged with a wrong proof. */
export function findMissing(log: string, leaves: readonly Uint8Array[], promised: readonly Promised[]): string[] {
  const taken = new Set<number>();
  return promised.flatMap((entry) => {
    const name = `${log} entry ${entry.index}`;
    const leaf = leaves[entry.index];
    const found = findWrongProof(`${name} as acknowledged`, entry);
    if (!leaf) return [...found, `${name} was acknowledged and is lost`];
    if (!entry.body.equals(leaf)) found.push(`${name} is not what was acknowledged`);
    const text = entry.body.toString();
    const digest = Buffer.from(entry.digest, 'base64').toString('hex');
    if (!text.includes(entry.signature) || !(text.includes(entry.digest) || text.includes(digest))) {
      found.push(`${name} is not what was submitted`);
    }
    if (taken.has(entry.index)) found.push(`${name} was acknowledged to two clients`);
    taken.add(entry.index);
    return found;
  });
}

/** Acknowledged entries, of which only the leaf hash was kept, that are not in the log at their index. */
function findForgotten(
  log: string,
  leaves: readonly Uint8Array[],
  acknowledged: ReadonlyMap<number, string>,
): string[] {
  return [...acknowledged].flatMap(([index, hash]) => {
    const leaf = leaves[index];
    if (leaf && leafHash(leaf).toString('hex') === hash) return [];
    return [`${log} entry ${index} was acknowledged and is ${leaf ? 'another' : 'lost'}`];
  });
}

function findWrongProof(name: string, entry: Pick<Promised, 'index' | 'body' | 'hashes' | 'checkpoint'>): string[] {
  const { size, root } = parseCheckpoint(entry.checkpoint);
  const proven = rootOfPath(leafHash(entry.body), entry.index, size, entry.hashes);
  return proven === root ? [] : [`${name}: its inclusion proof does not lead to its checkpoint`];
}

function parseCheckpoint(note: string): Head {
  const [, size = '', root = ''] = note.split('\n');
  return { size: Number(size), root: Buffer.from(root, 'base64').toString('hex') };
}

/** Checkpoints with their signature checked (C2SP signed-note: 4 bytes of key ID, then the signature over the text). */
function openCheckpoints(log: string, notes: readonly string[], key: KeyObject): (Head | string)[] {
  return [...new Set(notes)].map((note) => {
    const end = note.indexOf('\n\n') + 1;
    const [line = '', ...more] = note
      .slice(end + 1)
      .trimEnd()
      .split('\n');
    const signature = Buffer.from(line.split(' ').at(-1) ?? '', 'base64').subarray(4);
    const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
    const valid = more.length === 0 && verify(hash, Buffer.from(note.slice(0, end)), key, signature);
    return valid ? parseCheckpoint(note) : `${log}: a checkpoint is not signed by the log: ${JSON.stringify(note)}`;
  });
}

/** RFC 6962 §3.5: version, signature type 1, timestamp, tree size, root. */
function openTreeHead(head: TreeHead, key: KeyObject): Head | string {
  const root = Buffer.from(head.sha256_root_hash, 'base64');
  const signed = Buffer.alloc(18);
  signed.writeUInt8(1, 1);
  signed.writeBigUInt64BE(BigInt(head.timestamp), 2);
  signed.writeBigUInt64BE(BigInt(head.tree_size), 10);
  const signature = Buffer.from(head.tree_head_signature, 'base64').subarray(4);
  return verify('sha256', Buffer.concat([signed, root]), key, signature)
    ? { size: head.tree_size, root: root.toString('hex') }
    : `ct: a tree head of size ${head.tree_size} is not signed by the log`;
}

/** C2SP tlog-tiles: `total` is the number of hashes or entries at that level. */
function tile(level: number | 'entries', index: number, total: number): string {
  const width = Math.min(256, total - index * 256);
  const groups = `${index}`.padStart(Math.ceil(`${index}`.length / 3) * 3, '0').match(/.{3}/g) ?? [];
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
  return `tile/${level}/${path}${width === 256 ? '' : `.p/${width}`}`;
}

function splitBundle(bundle: Buffer): Buffer[] {
  const bodies: Buffer[] = [];
  for (let at = 0; at + 2 <= bundle.length; at += 2 + bundle.readUInt16BE(at)) {
    bodies.push(bundle.subarray(at + 2, at + 2 + bundle.readUInt16BE(at)));
  }
  return bodies;
}

/** The results for 0..count-1 in order, 32 at a time. */
async function everyOf<T>(count: number, get: (i: number) => Promise<T>): Promise<T[]> {
  const results: T[] = new Array(count);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) results[i] = await get(i);
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  return results;
}
