import { expect, test } from 'bun:test';
import { packCommit, unpackCommit } from './packed-commit.ts';
import type { Commit } from './store.ts';

const bytes = (length: number, value: number) => new Uint8Array(length).fill(value);

test('a commit of two trees comes out as it went in, what is absent or empty too', () => {
  const commits: Commit[] = [
    {
      tree: 'ct',
      expected: undefined,
      head: { treeSize: 3n, checkpoint: 'three' },
      time: new Date(7),
      leaves: [
        { body: bytes(5, 1), extra: bytes(0, 0), identity: bytes(32, 2) },
        { body: bytes(0, 0), extra: undefined, identity: bytes(32, 3) },
        { body: bytes(1, 4), extra: bytes(9, 5), identity: undefined },
      ],
      tiles: [
        { level: 0, index: 2n ** 40n, hashes: bytes(8192, 6) },
        { level: 1, index: 0n, hashes: bytes(8192, 7) },
      ],
    },
    {
      tree: 'v1',
      expected: { treeSize: 0n, checkpoint: '' },
      head: { treeSize: 0n, checkpoint: 'x' },
      time: new Date(8),
      leaves: [],
      tiles: [],
    },
  ];
  expect(unpackCommit(packCommit(commits))).toEqual(commits);
});
