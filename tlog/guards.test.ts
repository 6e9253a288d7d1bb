import { beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { parseCheckpoint, serializeCheckpoint } from '../core/merkle/checkpoint.ts';
import { serializeNote } from '../core/merkle/note.ts';
import { EMPTY_ROOT } from '../core/merkle/tree.ts';
import { openAdminSocket } from './admin-listener.ts';
import { ADMIN_SOCKET } from './admin-socket.ts';
import { createNoteSigner, createTreeHeadSigner } from './checkpoint-signer.ts';
import { type Log, openLog } from './log.ts';
import { openShards, treeName } from './shards.ts';
import type { Store } from './store.ts';
import { createMemoryDisk, createMemoryStore, type FaultyStore, type MemoryDisk } from './testing-store.ts';
import { requireOwnHost } from './witnessing.ts';

// What must hold although nothing in the code that calls it breaks it: each of these guards stands for itself.

const KEY = generateKey('ed25519');
const signer = createNoteSigner('log.example', 'log.example', KEY);
const clock = (): Date => new Date('2026-03-01T12:00:00Z');
const body = (text: string): Uint8Array => serializeUtf8(text);
let disk: MemoryDisk;
let store: FaultyStore;
beforeEach(() => {
  disk = createMemoryDisk();
  store = createMemoryStore(disk);
});
const open = (over: Store = store): Promise<Log> =>
  openLog({ store: over, tree: 'v2', signer, clock, identity: 'leaf-hash' });

/** Entries of a log with the same key that took others. */
async function otherHistory(size: number): Promise<MemoryDisk> {
  const other = createMemoryDisk();
  const log = await open(createMemoryStore(other));
  for (let i = 0; i < size; i++) await log.append({ body: body(`other ${i}`) });
  await log.close();
  return other;
}

describe('a log that reads its head again after a failed commit', () => {
  for (const [what, size] of [
    ['of the same size', 2],
    ['of a larger size', 5],
    ['of a smaller size', 1],
  ] as const) {
    test(`takes nothing any more if the store holds another tree ${what}`, async () => {
      const log = await open();
      for (const text of ['a', 'b']) await log.append({ body: body(text) });
      store.failCall('commit', 1, 'lost');
      await expect(log.append({ body: body('c') })).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
      const other = (await otherHistory(size)).trees.get('v2');
      const own = disk.trees.get('v2');
      if (!other || !own) throw new Error('no tree');
      disk.trees.set('v2', other);
      await expect(log.append({ body: body('d') })).rejects.toMatchObject({ code: 'LOG_FORKED' });
      // For good: also once the store is as it was.
      disk.trees.set('v2', own);
      await expect(log.append({ body: body('e') })).rejects.toMatchObject({ code: 'LOG_FORKED' });
      expect(() => log.requireRoom()).toThrow(expect.objectContaining({ code: 'LOG_FORKED' }));
      await log.close();
    });
  }

  test('takes nothing any more if what is stored is not what its checkpoint signs', async () => {
    const log = await open();
    await log.append({ body: body('a') });
    store.failCall('commit', 1, 'lost');
    await expect(log.append({ body: body('b') })).rejects.toMatchObject({ code: 'FILE_UNWRITABLE' });
    const own = disk.trees.get('v2');
    if (!own) throw new Error('no tree');
    disk.trees.set('v2', { ...own, leaves: own.leaves.map((leaf) => ({ ...leaf, body: body('x') })) });
    await expect(log.append({ body: body('c') })).rejects.toMatchObject({ code: 'LOG_FORKED' });
    disk.trees.set('v2', own);
    await expect(log.append({ body: body('d') })).rejects.toMatchObject({ code: 'LOG_FORKED' });
    await log.close();
  });
});

test('a duplicate is not answered with a body that the tree does not hold', async () => {
  const log = await openLog({ store, tree: 'ct', signer, clock, identity: 'submitted' });
  const submission = { body: body('a'), identity: new Uint8Array(32).fill(7) };
  await log.append(submission);
  expect((await log.append(submission)).duplicate).toBe(true);
  const own = disk.trees.get('ct');
  if (!own) throw new Error('no tree');
  disk.trees.set('ct', { ...own, leaves: own.leaves.map((leaf) => ({ ...leaf, body: body('x') })) });
  await expect(log.append(submission)).rejects.toThrow();
  await log.close();
});

/** A store whose commits of entries wait at a gate. */
function gated() {
  const gate = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const over: Store = {
    ...store,
    async commit(changes) {
      if (changes[0]?.leaves.length) {
        reached.resolve();
        await gate.promise;
      }
      await store.commit(changes);
    },
  };
  return { over, open: () => gate.resolve(), reached: reached.promise };
}

test('the size of a shard is final only when the appends under way are', async () => {
  const { over, open: openGate, reached } = gated();
  let recorded: bigint | undefined;
  const shards = await openShards({
    name: 'v2',
    store: over,
    records: [],
    frozen: false,
    clock,
    url: 'http://a.example',
    open: async (number) => ({
      log: await openLog({ store: over, tree: treeName('v2', number), signer, clock, identity: 'leaf-hash' }),
    }),
  });
  const appended = shards.append({ body: body('a') });
  await reached;
  const commit = ({ first }: { first: bigint }): void => {
    recorded = first;
  };
  const rotated = shards.rotate('http://b.example', { publish: () => {}, commit });
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(recorded).toBeUndefined();
  openGate();
  await rotated;
  expect(recorded).toBe(1n);
  expect((await appended).shard.number).toBe(1);
});

test('a submission that is being committed is joined, not taken a second time', async () => {
  const { over, open: openGate, reached } = gated();
  const log = await open(over);
  const first = log.append({ body: body('a') });
  await reached;
  const calls = store.calls.get('leaves') ?? 0;
  const second = log.append({ body: body('a') });
  openGate();
  expect([(await first).index, (await second).index]).toEqual([0n, 0n]);
  expect((await second).duplicate).toBe(true);
  // It was answered with the first one's answer: nothing was looked up for it.
  expect(store.calls.get('leaves') ?? 0).toBe(calls);
  expect(store.calls.get('commit')).toBe(2);
  await log.close();
});

test('a tree that holds entries but no checkpoint is not begun anew', async () => {
  const log = await open();
  await log.append({ body: body('a') });
  await log.close();
  const own = disk.trees.get('v2');
  if (!own) throw new Error('no tree');
  disk.trees.set('v2', { ...own, head: undefined });
  await expect(open()).rejects.toMatchObject({
    code: 'LOG_FORKED',
    message: expect.stringContaining('it holds entries but no checkpoint'),
  });
});

test.each([
  ['hash', 8],
  ['signature algorithm', 9],
])('a tree head that names another %s than it was signed with is refused', (_, at) => {
  const ct = createTreeHeadSigner('log.example/ct', generateKey('p256'), clock);
  const checkpoint = ct.sign(0n, EMPTY_ROOT);
  expect(ct.open({ treeSize: 0n, checkpoint })).toEqual(EMPTY_ROOT);
  const parsed = parseCheckpoint(checkpoint);
  const [line] = parsed.note.signatures;
  if (!line) throw new Error('no signature');
  const signature = line.signature.slice();
  signature[at] = (signature[at] as number) + 1;
  const altered = serializeNote({ text: serializeCheckpoint(parsed), signatures: [{ ...line, signature }] });
  expect(() => ct.open({ treeSize: 0n, checkpoint: altered })).toThrow(expect.objectContaining({ code: 'LOG_FORKED' }));
});

test.each([
  ['none', undefined],
  ['the first one', 'https://log.example'],
  ['the first one on another port and path', 'http://log.example:8080/shard/2'],
  ['one of another shard', 'https://log2.example/x'],
])('where there are witnesses a shard needs a host of its own, not %s', (_, url) => {
  const taken = ['https://log.example', 'https://log2.example'];
  expect(() => requireOwnHost(url, taken)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  expect(() => requireOwnHost('https://log3.example', taken)).not.toThrow();
});

test('only the owner of a server reaches its administration, whatever the umask', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'hallmark-admin-'));
  const before = process.umask(0);
  try {
    const problems: unknown[] = [];
    const listener = openAdminSocket(
      directory,
      () => undefined,
      (_, error) => problems.push(error),
    );
    expect(problems).toEqual([]);
    expect(statSync(join(directory, ADMIN_SOCKET)).mode & 0o777).toBe(0o600);
    await listener?.stop(true);
  } finally {
    process.umask(before);
    rmSync(directory, { recursive: true });
  }
});
