import { concat, equal } from '../bytes/bytes.ts';
import { sha256 } from '../crypto/hash.ts';
import { VerificationError } from '../errors.ts';
import { MAX_LOG_SIZE } from '../limits.ts';

const HASH_BYTES = 32;
const LEAF_PREFIX = Uint8Array.of(0x00);
const NODE_PREFIX = Uint8Array.of(0x01);

/** The root of the tree without leaves (RFC 6962 §2.1): SHA256(). */
export const EMPTY_ROOT: Uint8Array = sha256();

/** SHA256(0x00 || entry), RFC 6962 §2.1. */
export const leafHash = (entry: Uint8Array): Uint8Array => sha256(LEAF_PREFIX, entry);

/** SHA256(0x01 || left || right), RFC 6962 §2.1. */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(concat(NODE_PREFIX, left, right));

/**
 * Reads the root of a complete subtree of 2^level leaves, the `index`th of its level. Level 0 are the leaf hashes. Called
 * only for subtrees that are complete in the tree of the proof's size.
 */
export type ReadNode = (level: number, index: bigint) => Uint8Array;

/** Root of the leaves start..end-1. `start` is a multiple of the smallest power of two that is not below end - start. */
function subtreeRoot(start: bigint, end: bigint, readNode: ReadNode): Uint8Array {
  let size = end - start;
  // Most are complete.
  if ((size & (size - 1n)) === 0n && size > 0n) {
    const level = bitLength(size) - 1;
    return readNode(level, start >> BigInt(level));
  }
  let root: Uint8Array | undefined;
  // The complete subtrees, from the smallest, which is the rightmost: RFC 6962 §2.1 splits at the largest power of two.
  for (let [level, after] = [0, end]; size > 0n; level++) {
    if ((size & 1n) === 1n) {
      const node = readNode(level, after - 1n);
      root = root === undefined ? node : nodeHash(node, root);
    }
    size >>= 1n;
    after >>= 1n;
  }
  if (root === undefined) throw new Error('internal: the root of no leaves');
  return root;
}

/** The largest power of two below `size`, which is 2 or more (RFC 6962 §2.1). */
const splitOf = (size: bigint): bigint => 1n << BigInt(bitLength(size - 1n) - 1);

const bitLength = (value: bigint): number =>
  value <= 0xffff_ffffn ? 32 - Math.clz32(Number(value)) : value.toString(2).length;

/** The audit path of leaf `index` in the tree of `treeSize` leaves, index < treeSize (RFC 6962 §2.1.1). Leaf side first. */
export function inclusionProof(index: bigint, treeSize: bigint, readNode: ReadNode): Uint8Array[] {
  if (index < 0n || index >= treeSize) throw new Error('internal: inclusion proof of a leaf outside of the tree');
  const path: Uint8Array[] = [];
  let start = 0n;
  let end = treeSize;
  while (end - start > 1n) {
    const middle = start + splitOf(end - start);
    if (index < middle) {
      path.push(subtreeRoot(middle, end, readNode));
      end = middle;
    } else {
      path.push(subtreeRoot(start, middle, readNode));
      start = middle;
    }
  }
  return path.reverse();
}

/**
 * Proof that the tree of `secondSize` leaves extends that of `firstSize`, firstSize <= secondSize (RFC 6962 §2.1.2). Empty
 * if the first is empty or they are equal.
 */
export function consistencyProof(firstSize: bigint, secondSize: bigint, readNode: ReadNode): Uint8Array[] {
  if (firstSize < 0n || firstSize > secondSize) throw new Error('internal: consistency proof from a larger tree');
  if (firstSize === 0n || firstSize === secondSize) return [];
  const path: Uint8Array[] = [];
  let start = 0n;
  let end = secondSize;
  // Down to the subtree that ends where the first tree ends.
  while (end !== firstSize) {
    const middle = start + splitOf(end - start);
    if (firstSize <= middle) {
      path.push(subtreeRoot(middle, end, readNode));
      end = middle;
    } else {
      path.push(subtreeRoot(start, middle, readNode));
      start = middle;
    }
  }
  // If it begins the tree it is the first tree itself, whose root the verifier has.
  if (start !== 0n) path.push(subtreeRoot(start, end, readNode));
  return path.reverse();
}

const inclusionWrong = (problem: string): VerificationError =>
  new VerificationError('INCLUSION_PROOF_WRONG', 'log', `the inclusion proof is wrong: ${problem}`);

/**
 * Verifies that the leaf at `index` of the tree with this size and root has this hash (RFC 9162 §2.1.3.2).
 * INCLUSION_PROOF_WRONG
 */
export function verifyInclusion(proof: {
  readonly leafHash: Uint8Array;
  readonly index: bigint;
  readonly treeSize: bigint;
  readonly hashes: readonly Uint8Array[];
  readonly rootHash: Uint8Array;
}): void {
  const { index, treeSize, hashes, rootHash } = proof;
  if (treeSize < 0n || treeSize > MAX_LOG_SIZE) throw inclusionWrong('no tree has that size');
  if (index < 0n || index >= treeSize) throw inclusionWrong('the index is outside of the tree');
  if (!areHashes([proof.leafHash, rootHash, ...hashes])) throw inclusionWrong('a hash that has not 32 bytes');
  let root = proof.leafHash;
  let node = index;
  let last = treeSize - 1n; // the last node of the level
  for (const hash of hashes) {
    if (last === 0n) throw inclusionWrong('too many hashes');
    // The last node of an odd level has no sibling and moves up as it is.
    while ((node & 1n) === 0n && node === last) {
      node >>= 1n;
      last >>= 1n;
    }
    root = (node & 1n) === 1n ? nodeHash(hash, root) : nodeHash(root, hash);
    node >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw inclusionWrong('too few hashes');
  if (!equal(root, rootHash)) throw inclusionWrong('it leads to another root');
}

const consistencyWrong = (problem: string): VerificationError =>
  new VerificationError('CONSISTENCY_PROOF_WRONG', 'log', `the consistency proof is wrong: ${problem}`);

/**
 * Verifies that the second tree begins with the leaves of the first (RFC 9162 §2.1.4.2). An empty first tree, or one of
 * the same size, needs no hashes and must have the right root. CONSISTENCY_PROOF_WRONG
 */
export function verifyConsistency(proof: {
  readonly firstSize: bigint;
  readonly firstRoot: Uint8Array;
  readonly secondSize: bigint;
  readonly secondRoot: Uint8Array;
  readonly hashes: readonly Uint8Array[];
}): void {
  const { firstSize, firstRoot, secondSize, secondRoot, hashes } = proof;
  if (firstSize < 0n || secondSize > MAX_LOG_SIZE) throw consistencyWrong('no tree has that size');
  if (firstSize > secondSize) throw consistencyWrong('the first tree is the larger one');
  if (!areHashes([firstRoot, secondRoot, ...hashes])) throw consistencyWrong('a hash that has not 32 bytes');
  if (firstSize === 0n || firstSize === secondSize) {
    if (hashes.length > 0) throw consistencyWrong('too many hashes');
    if (!equal(firstRoot, firstSize === 0n ? EMPTY_ROOT : secondRoot)) throw consistencyWrong('the roots differ');
    if (secondSize === 0n && !equal(secondRoot, EMPTY_ROOT)) throw consistencyWrong('an empty tree has another root');
    return;
  }

  // The subtree that both trees share: the last complete one of the first tree.
  let node = firstSize - 1n;
  let last = secondSize - 1n;
  while ((node & 1n) === 1n) {
    node >>= 1n;
    last >>= 1n;
  }
  // The first tree is that subtree as a whole if nothing is left of its index.
  const rest = node === 0n ? [firstRoot, ...hashes] : hashes;
  const [seed, ...siblings] = rest;
  if (seed === undefined) throw consistencyWrong('too few hashes');
  let first = seed;
  let second = seed;
  for (const hash of siblings) {
    if (last === 0n) throw consistencyWrong('too many hashes');
    if ((node & 1n) === 1n || node === last) {
      first = nodeHash(hash, first);
      second = nodeHash(hash, second);
      while (node !== 0n && (node & 1n) === 0n) {
        node >>= 1n;
        last >>= 1n;
      }
    } else {
      second = nodeHash(second, hash);
    }
    node >>= 1n;
    last >>= 1n;
  }
  if (last !== 0n) throw consistencyWrong('too few hashes');
  if (!equal(first, firstRoot)) throw consistencyWrong('it leads to another first root');
  if (!equal(second, secondRoot)) throw consistencyWrong('it leads to another second root');
}

const areHashes = (values: readonly Uint8Array[]): boolean => values.every((value) => value.length === HASH_BYTES);
