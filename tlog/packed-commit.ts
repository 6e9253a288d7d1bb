import type { Commit, Head } from './store.ts';

/** A commit as it goes to another thread: a few small values, and all bytes in one buffer that is handed over. */
export interface PackedCommit {
  readonly changes: readonly PackedChange[];
  /** Of each change in turn: body, extra and identity of each leaf, then the hashes of each tile. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

interface PackedChange extends Omit<Commit, 'leaves' | 'tiles'> {
  /** Three numbers for each leaf: bytes of its body, extra and identity; ABSENT for what it has not. */
  readonly lengths: Int32Array<ArrayBuffer>;
  readonly tiles: readonly { readonly level: number; readonly index: bigint; readonly length: number }[];
}

const ABSENT = -1;

export function packCommit(commits: readonly Commit[]): PackedCommit {
  const parts: Uint8Array[] = [];
  const add = (part: Uint8Array | undefined): number => {
    if (!part) return ABSENT;
    parts.push(part);
    return part.length;
  };
  const changes = commits.map(({ leaves, tiles, ...rest }) => {
    const lengths = new Int32Array(3 * leaves.length);
    for (const [i, { body, extra, identity }] of leaves.entries()) {
      lengths.set([add(body), add(extra), add(identity)], 3 * i);
    }
    return {
      ...rest,
      lengths,
      tiles: tiles.map(({ level, index, hashes }) => ({ level, index, length: add(hashes) })),
    };
  });
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { changes, bytes };
}

/** The inverse; leaves and tiles are views of the one buffer. */
export function unpackCommit({ changes, bytes }: PackedCommit): Commit[] {
  let at = 0;
  const take = (length: number): Uint8Array => {
    at += length;
    return bytes.subarray(at - length, at);
  };
  const takeIfPresent = (length: number): Uint8Array | undefined => (length === ABSENT ? undefined : take(length));
  return changes.map(({ lengths, tiles, ...rest }) => ({
    ...rest,
    leaves: Array.from({ length: lengths.length / 3 }, (_, i) => {
      const [body = 0, extra = ABSENT, identity = ABSENT] = lengths.subarray(3 * i, 3 * i + 3);
      return { body: take(body), extra: takeIfPresent(extra), identity: takeIfPresent(identity) };
    }),
    tiles: tiles.map(({ level, index, length }) => ({ level, index, hashes: take(length) })),
  }));
}

/** True if both are the same head, or both are absent. */
export const sameHead = (a: Head | undefined, b: Head | undefined): boolean =>
  a?.treeSize === b?.treeSize && a?.checkpoint === b?.checkpoint;
