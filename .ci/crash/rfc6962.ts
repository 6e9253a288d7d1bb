// RFC 6962 in its own words, for checking a log from outside: shares no code with the log that it checks.
import { createHash } from 'node:crypto';

const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** §2.1: MTH({d(0)}) = SHA-256(0x00 || d(0)). */
export const leafHash = (data: Uint8Array): Buffer => sha256(Uint8Array.of(0), data);
const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Uint8Array.of(1), left, right);

/** §2.1: MTH of the first n leaves at index n, in hexadecimal, for every n from 0 on. */
export function rootsOfPrefixes(leaves: readonly Uint8Array[]): string[] {
  const roots = [sha256().toString('hex')];
  // The complete subtrees of the tree so far, the largest first: what §2.1 splits it into.
  let subtrees: { height: number; hash: Buffer }[] = [];
  for (const leaf of leaves) {
    let added = { height: 0, hash: leafHash(leaf) };
    for (let last = subtrees.at(-1); last?.height === added.height; last = subtrees.at(-1)) {
      added = { height: added.height + 1, hash: nodeHash(last.hash, added.hash) };
      subtrees = subtrees.slice(0, -1);
    }
    subtrees = [...subtrees, added];
    roots.push(
      subtrees
        .map(({ hash }) => hash)
        .reduceRight((right, left) => nodeHash(left, right))
        .toString('hex'),
    );
  }
  return roots;
}

/** The root that an audit path (§2.1.1) leads to, in hexadecimal; undefined if it has another length than it must have. */
export function rootOfPath(
  leaf: Uint8Array,
  index: number,
  size: number,
  path: readonly Uint8Array[],
): string | undefined {
  return climb(leaf, index, size, path)?.toString('hex');
}

function climb(leaf: Uint8Array, index: number, size: number, path: readonly Uint8Array[]): Buffer | undefined {
  if (index < 0 || index >= size) return undefined;
  const sibling = path.at(-1);
  if (size === 1) return sibling === undefined ? Buffer.from(leaf) : undefined;
  if (sibling === undefined) return undefined;
  let k = 1;
  while (k * 2 < size) k *= 2;
  const below = path.slice(0, -1);
  const inner = index < k ? climb(leaf, index, k, below) : climb(leaf, index - k, size - k, below);
  return inner && (index < k ? nodeHash(inner, sibling) : nodeHash(sibling, inner));
}

/** The hashes of one level of complete subtrees of 256 leaves each over the level below, as C2SP tlog-tiles stores them. */
export function tileLevelAbove(hashes: readonly Buffer[]): Buffer[] {
  const above: Buffer[] = [];
  for (let at = 0; at + 256 <= hashes.length; at += 256) {
    let level = hashes.slice(at, at + 256);
    while (level.length > 1) {
      level = level.flatMap((left, i) => (i % 2 === 0 ? [nodeHash(left, level[i + 1] as Buffer)] : []));
    }
    above.push(...level);
  }
  return above;
}
