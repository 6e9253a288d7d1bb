import { describe, expect, test } from 'bun:test';
import { createGroupCommit } from './group-commit.ts';
import type { Commit } from './store.ts';
import { createMemoryDisk, createMemoryStore } from './testing-store.ts';

const change = (tree: string, from: bigint, to: bigint): Commit => ({
  tree,
  expected: from === 0n ? undefined : { treeSize: from, checkpoint: `${from}` },
  head: { treeSize: to, checkpoint: `${to}` },
  time: new Date(0),
  leaves: Array.from({ length: Number(to - from) }, () => ({
    body: new Uint8Array(1),
    extra: undefined,
    identity: undefined,
  })),
  tiles: [],
});

describe('commits of several trees', () => {
  test('that are asked for together are one', async () => {
    const store = createMemoryStore(createMemoryDisk());
    const group = createGroupCommit(store);
    await Promise.all(['v1', 'v2', 'ct'].map((tree) => group.commit([change(tree, 0n, 2n)])));
    expect(store.calls.get('commit')).toBe(1);
    expect((await store.head('ct'))?.treeSize).toBe(2n);
  });

  test('gather while one is under way, and never run beside it', async () => {
    const store = createMemoryStore(createMemoryDisk());
    const group = createGroupCommit(store);
    const first = group.commit([change('v1', 0n, 1n)]);
    while (!store.calls.has('commit')) await new Promise((resolve) => setImmediate(resolve));
    const others = [group.commit([change('v2', 0n, 1n)]), group.commit([change('ct', 0n, 1n)])];
    expect(store.calls.get('commit')).toBe(1);
    await first;
    await Promise.all(others);
    expect(store.calls.get('commit')).toBe(2);
  });

  test('fail together, and the next one is made', async () => {
    const store = createMemoryStore(createMemoryDisk());
    const group = createGroupCommit(store);
    store.failCall('commit', 1, 'lost');
    const outcomes = await Promise.allSettled([
      group.commit([change('v1', 0n, 1n)]),
      group.commit([change('v2', 0n, 1n)]),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await group.commit([change('v1', 0n, 1n)]);
    expect((await store.head('v1'))?.treeSize).toBe(1n);
  });
});
