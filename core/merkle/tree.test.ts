import { describe, expect, test } from 'bun:test';
import { parseHex, serializeHex } from '../bytes/bytes.ts';
import { VerificationError, type VerificationErrorCode } from '../errors.ts';
import {
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  nodeHash,
  verifyConsistency,
  verifyInclusion,
} from './tree.ts';

const LARGEST = 300;
const leaves = Array.from({ length: LARGEST }, (_, i) => leafHash(Uint8Array.of(i >> 8, i)));

// Complete subtrees by level, and roots by the definition of RFC 6962 §2.1: the oracle for the proofs.
const levels: Uint8Array[][] = [leaves];
for (let below = leaves; below.length > 1; ) {
  below = Array.from({ length: below.length >> 1 }, (_, i) => nodeHash(below[2 * i]!, below[2 * i + 1]!));
  levels.push(below);
}
const rootOf = (of: readonly Uint8Array[]): Uint8Array => {
  if (of.length <= 1) return of[0] ?? EMPTY_ROOT;
  let split = 1;
  while (split * 2 < of.length) split *= 2;
  return nodeHash(rootOf(of.slice(0, split)), rootOf(of.slice(split)));
};
const roots = Array.from({ length: LARGEST + 1 }, (_, size) => rootOf(leaves.slice(0, size)));
const readNode =
  (size: number) =>
  (level: number, index: bigint): Uint8Array => {
    if (index >= BigInt(size >> level)) throw new Error('asked for a subtree that is not complete');
    return levels[level]![Number(index)]!;
  };

const inclusionOf = (index: number, size: number) => ({
  leafHash: leaves[index]!,
  index: BigInt(index),
  treeSize: BigInt(size),
  hashes: inclusionProof(BigInt(index), BigInt(size), readNode(size)),
  rootHash: roots[size]!,
});
const consistencyOf = (first: number, second: number) => ({
  firstSize: BigInt(first),
  firstRoot: roots[first]!,
  secondSize: BigInt(second),
  secondRoot: roots[second]!,
  hashes: consistencyProof(BigInt(first), BigInt(second), readNode(second)),
});

function expectRefusal(code: VerificationErrorCode, run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof VerificationError)) throw error;
    expect(error.code).toBe(code);
    expect(error.step).toBe('log');
    return;
  }
  throw new Error('accepted');
}

describe('RFC 6962 tree', () => {
  test('empty tree is SHA-256 of nothing (§2.1)', () =>
    expect(serializeHex(EMPTY_ROOT)).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'));
  // The vectors that implementations of RFC 6962 share, of the trees of these eight leaves.
  const vector = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
  const vectorLeaves = vector.map((entry) => leafHash(parseHex(entry)));
  const vectorNode = (level: number, index: bigint): Uint8Array =>
    rootOf(vectorLeaves.slice(Number(index) << level, (Number(index) + 1) << level));
  const [h1, h2, h3] = [
    '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
    '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  ];
  const h5 = 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b';
  const h6 = 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0';
  const h7 = '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a';
  const root2 = 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125';
  const root4 = 'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7';
  test('the roots of the shared vectors', () => {
    expect(vectorLeaves.map((_, i) => serializeHex(rootOf(vectorLeaves.slice(0, i + 1))))).toEqual([
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      root2,
      'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
      root4,
      '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
      '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
      'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    ]);
  });
  test.each([
    [0, 1, []],
    [0, 8, [h1, h2, h3]],
    [5, 8, [h5, h6, root4]],
    [2, 3, [root2]],
    [1, 5, ['6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d', h2, h5]],
  ])('the inclusion proof of entry %d among %d in the shared vectors', (index, size, hashes) => {
    expect(inclusionProof(BigInt(index), BigInt(size), vectorNode).map(serializeHex)).toEqual(hashes as string[]);
  });
  test.each([
    [1, 1, []],
    [1, 8, [h1, h2, h3]],
    [6, 8, [h7, h6, root4]],
    [2, 5, [h2, h5]],
  ])('the consistency proof from %d to %d in the shared vectors', (first, second, hashes) => {
    expect(consistencyProof(BigInt(first), BigInt(second), vectorNode).map(serializeHex)).toEqual(hashes as string[]);
  });
  // RFC 6962 §2.1.3: the tree of seven leaves d0..d6.
  const node = (level: number, index: number) => levels[level]![index]!;
  test('audit paths of §2.1.3', () => {
    expect(inclusionOf(0, 7).hashes).toEqual([node(0, 1), node(1, 1), nodeHash(node(1, 2), node(0, 6))]);
    expect(inclusionOf(3, 7).hashes).toEqual([node(0, 2), node(1, 0), nodeHash(node(1, 2), node(0, 6))]);
    expect(inclusionOf(4, 7).hashes).toEqual([node(0, 5), node(0, 6), node(2, 0)]);
    expect(inclusionOf(6, 7).hashes).toEqual([node(1, 2), node(2, 0)]);
  });
  test('consistency proofs of §2.1.3', () => {
    const right = nodeHash(node(1, 2), node(0, 6));
    expect(consistencyOf(3, 7).hashes).toEqual([node(0, 2), node(0, 3), node(1, 0), right]);
    expect(consistencyOf(4, 7).hashes).toEqual([right]);
    expect(consistencyOf(6, 7).hashes).toEqual([node(1, 2), node(0, 6), node(2, 0)]);
  });
  test('every inclusion proof of every tree up to 300 leaves', () => {
    for (let size = 1; size <= LARGEST; size++)
      for (let index = 0; index < size; index++) verifyInclusion(inclusionOf(index, size));
  });
  test('every consistency proof between trees up to 300 leaves', () => {
    for (let second = 0; second <= LARGEST; second++)
      for (let first = 0; first <= second; first++) verifyConsistency(consistencyOf(first, second));
  });
  test('a proof in a tree of 2^62 leaves', () => {
    const zero = leaves[0]!;
    const same = levels
      .map((_, level) => level)
      .reduce<Uint8Array[]>((up) => [...up, nodeHash(up.at(-1)!, up.at(-1)!)], [zero]);
    while (same.length < 63) same.push(nodeHash(same.at(-1)!, same.at(-1)!));
    const treeSize = 2n ** 62n;
    const read = (level: number) => same[level]!;
    const index = treeSize - 12345n;
    const proof = {
      leafHash: zero,
      index,
      treeSize,
      hashes: inclusionProof(index, treeSize, read),
      rootHash: same[62]!,
    };
    expect(proof.hashes.length).toBe(62);
    verifyInclusion(proof);
  });
});

describe('verifyInclusion refuses', () => {
  const refuse = (proof: Parameters<typeof verifyInclusion>[0]) =>
    expectRefusal('INCLUSION_PROOF_WRONG', () => verifyInclusion(proof));
  test('another index, leaf or root, in every tree up to 20 leaves', () => {
    for (let size = 1; size <= 20; size++) {
      for (let index = 0; index < size; index++) {
        const proof = inclusionOf(index, size);
        for (let other = 0; other < size + 2; other++) if (other !== index) refuse({ ...proof, index: BigInt(other) });
        refuse({ ...proof, leafHash: leaves[(index + 1) % LARGEST]! });
        refuse({ ...proof, rootHash: roots[size - 1]! });
      }
    }
  });
  test('a missing, trailing, swapped or altered hash, in every tree up to 20 leaves', () => {
    for (let size = 2; size <= 20; size++) {
      for (let index = 0; index < size; index++) {
        const proof = inclusionOf(index, size);
        const { hashes } = proof;
        refuse({ ...proof, hashes: hashes.slice(1) });
        refuse({ ...proof, hashes: hashes.slice(0, -1) });
        refuse({ ...proof, hashes: [...hashes, leaves[0]!] });
        if (hashes.length > 1) refuse({ ...proof, hashes: hashes.toReversed() });
        hashes.forEach((hash, i) => {
          const altered = Uint8Array.from(hash, (byte, at) => (at === i ? byte ^ 1 : byte));
          refuse({ ...proof, hashes: hashes.with(i, altered) });
        });
      }
    }
  });
  test('a leaf in the empty tree', () =>
    refuse({ leafHash: leaves[0]!, index: 0n, treeSize: 0n, hashes: [], rootHash: EMPTY_ROOT }));
  test('a negative index', () => refuse({ ...inclusionOf(0, 2), index: -1n }));
  test('an index equal to the size', () => refuse({ ...inclusionOf(1, 2), index: 2n }));
  test('a tree above 2^63 - 1', () => refuse({ ...inclusionOf(0, 2), treeSize: 2n ** 63n }));
  test('a hash of 31 bytes', () => refuse({ ...inclusionOf(0, 2), hashes: [leaves[1]!.subarray(1)] }));
  test('an inner node passed off as a leaf of a smaller tree', () =>
    // The right hash in the right place, but the tree of 4 has no leaf at this depth.
    refuse({ leafHash: levels[1]![0]!, index: 0n, treeSize: 4n, hashes: [levels[1]![1]!], rootHash: roots[4]! }));
});

describe('verifyConsistency refuses', () => {
  const refuse = (proof: Parameters<typeof verifyConsistency>[0]) =>
    expectRefusal('CONSISTENCY_PROOF_WRONG', () => verifyConsistency(proof));
  test('another root, and a missing, trailing or altered hash, between trees up to 20 leaves', () => {
    for (let second = 1; second <= 20; second++) {
      for (let first = 1; first < second; first++) {
        const proof = consistencyOf(first, second);
        const { hashes } = proof;
        refuse({ ...proof, firstRoot: roots[first + 1]! });
        refuse({ ...proof, secondRoot: roots[second - 1]! });
        refuse({ ...proof, hashes: hashes.slice(0, -1) });
        refuse({ ...proof, hashes: hashes.slice(1) });
        refuse({ ...proof, hashes: [...hashes, leaves[0]!] });
        hashes.forEach((hash, i) => {
          refuse({
            ...proof,
            hashes: hashes.with(
              i,
              Uint8Array.from(hash, (byte) => byte ^ 0x80),
            ),
          });
        });
      }
    }
  });
  test('the first tree larger than the second', () => refuse({ ...consistencyOf(3, 7), firstSize: 8n }));
  test('equal sizes with other roots', () => refuse({ ...consistencyOf(5, 5), secondRoot: roots[4]! }));
  test('equal sizes with a hash', () => refuse({ ...consistencyOf(5, 5), hashes: [leaves[0]!] }));
  test('an empty first tree with a root that is not the empty one', () =>
    refuse({ ...consistencyOf(0, 5), firstRoot: roots[1]! }));
  test('an empty first tree with a hash', () => refuse({ ...consistencyOf(0, 5), hashes: [leaves[0]!] }));
  test('a negative size', () => refuse({ ...consistencyOf(0, 5), firstSize: -1n }));
  test('a root of 33 bytes', () => refuse({ ...consistencyOf(3, 7), secondRoot: new Uint8Array(33) }));
});

describe('a proof of what is not there is a fault of the caller', () => {
  test('a leaf outside of the tree', () => expect(() => inclusionProof(3n, 3n, readNode(3))).toThrow('internal'));
  test('from a larger tree', () => expect(() => consistencyProof(4n, 3n, readNode(3))).toThrow('internal'));
});
