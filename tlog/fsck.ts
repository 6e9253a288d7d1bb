import { equal, serializeHex } from '../core/bytes/bytes.ts';
import type { PublicKey } from '../core/crypto/public-key.ts';
import { HallmarkError } from '../core/errors.ts';
import { type Checkpoint, parseCheckpoint } from '../core/merkle/checkpoint.ts';

import { leafHash } from '../core/merkle/tree.ts';
import { isCheckpointSignedBy } from './checkpoint-signer.ts';
import { ctIdentityOfLeaf } from './ct-entry.ts';
import { IDENTITY_BYTES, type Leaf, type Store } from './store.ts';
import { TILE_HEIGHT } from './tile-nodes.ts';
import { EMPTY_EDGE, extend, rootOfEdge, tileWidth } from './tree-edge.ts';

/** What was found out about one tree of a data directory. Sound if `findings` is empty. */
export interface TreeReport {
  readonly tree: string;
  /** Undefined if there is no checkpoint that can be read. */
  readonly origin: string | undefined;
  readonly treeSize: bigint;
  /** As the entries give it, lower-case hexadecimal; undefined if not all of them are there. */
  readonly rootHash: string | undefined;
  /** What is wrong, in the order in which it was found; no more than MAX_FINDINGS, then it was given up. */
  readonly findings: readonly string[];
}

export interface CheckOptions {
  /** A snapshot is not needed: what is committed meanwhile lies behind the head that is read first. */
  readonly store: Pick<Store, 'head' | 'leaves' | 'identities' | 'tile'>;
  readonly tree: string;
  /** Keys of which one has to have signed the checkpoint. */
  readonly keys: readonly PublicKey[];
  /** Called after every READ_LEAVES entries. */
  readonly onProgress: (done: bigint, total: bigint) => void;
}

/** Findings after which a tree is given up: the rest would say the same. */
const MAX_FINDINGS = 100;
/** Entries that are held at once. */
const READ_LEAVES = 1024n;

/**
 * Recomputes all that is stored of one tree from its entries alone: every tile, the identities, and the root that its
 * checkpoint signs. Errors: those of the store.
 */
export async function checkTree({ store, tree, keys, onProgress }: CheckOptions): Promise<TreeReport> {
  const findings: string[] = [];
  const find = (finding: string): void => {
    if (findings.length === MAX_FINDINGS) throw new GivenUp();
    findings.push(finding);
  };
  const head = await store.head(tree);
  const treeSize = head?.treeSize ?? 0n;
  if (!head) {
    return { tree, origin: undefined, treeSize, rootHash: undefined, findings: ['there is no checkpoint'] };
  }
  let origin: string | undefined;
  let rootHash: string | undefined;
  try {
    const checkpoint = readCheckpoint(head.checkpoint, find);
    origin = checkpoint?.origin;
    if (checkpoint) {
      if (checkpoint.treeSize !== treeSize) {
        find(`the checkpoint is of size ${checkpoint.treeSize}, and ${treeSize} is stored beside it`);
      }
      if (!keys.some((key) => isCheckpointSignedBy(checkpoint, key))) {
        find('the checkpoint is not signed by a key of the data directory');
      }
    }
    const root = await recompute();
    if (root) {
      rootHash = serializeHex(root);
      if (checkpoint && !equal(root, checkpoint.rootHash)) find('the entries do not give the root of the checkpoint');
    }
  } catch (error) {
    if (!(error instanceof GivenUp)) throw error;
  }
  return { tree, origin, treeSize, rootHash, findings };

  /** The root; undefined if an entry is missing. */
  async function recompute(): Promise<Uint8Array | undefined> {
    // Before anything is sized by a number that may be damaged too.
    if (treeSize > 0n && (await store.leaves(tree, treeSize - 1n, treeSize)).length === 0) {
      find(`entry ${treeSize - 1n}, the last one, is missing`);
      return undefined;
    }
    const ownIdentities = (await store.identities(tree, 0n, 1n)).length > 0;
    const seen = new BigUint64Array(Number(treeSize));
    let edge = EMPTY_EDGE;
    while (edge.size < treeSize) {
      const start = edge.size;
      const end = start + READ_LEAVES < treeSize ? start + READ_LEAVES : treeSize;
      const leaves = await store.leaves(tree, start, end);
      if (BigInt(leaves.length) !== end - start) {
        find(`entries from ${start} to ${end} are incomplete`);
        return undefined;
      }
      const hashes = leaves.map((leaf) => leafHash(leaf.body));
      const identities = ownIdentities ? await requireIdentities(start, leaves) : hashes;
      for (const [i, identity] of identities.entries())
        seen[Number(start) + i] = Buffer.from(identity).readBigUInt64BE();
      const extended = extend(edge, hashes);
      for (const { level, index, nodes } of extended.filled) {
        const stored = await store.tile(tree, level, index);
        if (!stored) find(`tile ${level}/${index} is missing`);
        else if (!equal(stored, nodes.hashes())) find(`tile ${level}/${index} does not hold the hashes of the entries`);
      }
      edge = extended.edge;
      onProgress(edge.size, treeSize);
    }
    if (
      (await store.leaves(tree, treeSize, treeSize + 1n)).length > 0 &&
      (await store.head(tree))?.treeSize === treeSize
    ) {
      find(`there are entries beyond the checkpoint of size ${treeSize}`);
    }
    for (let level = 0; tileWidth(treeSize, level, 0n) > 0; level++) {
      const next = treeSize >> BigInt(TILE_HEIGHT * (level + 1));
      if ((await store.tile(tree, level, next)) && (await store.head(tree))?.treeSize === treeSize) {
        find(`tile ${level}/${next} is stored and not full at size ${treeSize}`);
      }
    }
    // Half of the identities' bits would be enough to tell all entries of the world apart, unless two are the same.
    seen.sort();
    if (seen.some((identity, i) => i > 0 && identity === seen[i - 1])) find('an entry is in the tree twice');
    return rootOfEdge(edge);
  }

  async function requireIdentities(start: bigint, leaves: readonly Leaf[]): Promise<Uint8Array[]> {
    const stored = await store.identities(tree, start, start + BigInt(leaves.length));
    return leaves.map((leaf, i) => {
      const identity = ctIdentityOfLeaf(leaf.body);
      const own = stored.subarray(i * IDENTITY_BYTES, (i + 1) * IDENTITY_BYTES);
      if (!equal(own, identity)) find(`the identity of entry ${start + BigInt(i)} is not that of its bytes`);
      return identity;
    });
  }
}

function readCheckpoint(text: string, find: (finding: string) => void): Checkpoint | undefined {
  try {
    return parseCheckpoint(text);
  } catch (error) {
    if (!(error instanceof HallmarkError)) throw error;
    find(`the checkpoint cannot be read: ${error.message}`);
    return undefined;
  }
}

class GivenUp extends Error {}
