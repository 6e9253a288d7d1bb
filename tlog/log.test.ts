import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { MAX_APPEND_BATCH } from '../core/limits.ts';
import { leafHash, nodeHash, verifyConsistency, verifyInclusion } from '../core/merkle/tree.ts';
import { createNoteSigner } from './checkpoint-signer.ts';
import { type Log, openLog } from './log.ts';
import { openSqliteStore } from './sqlite-store.ts';
import type { Store } from './store.ts';
import { createMemoryDisk, createMemoryStore, type MemoryDisk } from './testing-store.ts';
import { EMPTY_EDGE, extend, rootOfEdge } from './tree-edge.ts';

const KEY = generateKey('ed25519');
const signer = createNoteSigner('log.example', 'log.example', KEY);
const clock = () => new Date('2026-03-01T12:00:00Z');
const body = (n: number) => serializeUtf8(`entry ${n}`);
const open = (store: Store): Promise<Log> => openLog({ store, tree: 'v2', signer, clock, identity: 'leaf-hash' });

/** RFC 6962 §2.1 as it is written, on purpose without any cleverness. */
function merkleTreeHash(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256();
  if (leaves.length === 1) return leafHash(leaves[0] as Uint8Array);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(merkleTreeHash(leaves.slice(0, k)), merkleTreeHash(leaves.slice(k)));
}

/** The whole tree as the log answers it: every entry, every inclusion proof, the root of every size. */
async function requireSound(log: Log): Promise<void> {
  const { treeSize, rootHash, checkpoint } = log.head();
  expect(serializeHex(signer.open({ treeSize, checkpoint }))).toBe(serializeHex(rootHash));
  const entries = await log.entries(0n, treeSize);
  expect(BigInt(entries.length)).toBe(treeSize);
  const bodies = entries.map((entry) => entry.body);
  expect(serializeHex(rootHash)).toBe(serializeHex(merkleTreeHash(bodies)));
  expect(new Set(bodies.map(serializeHex)).size).toBe(bodies.length);
  for (const [i, entry] of entries.entries()) {
    const index = BigInt(i);
    const proof = await log.proveInclusion(index);
    verifyInclusion({ leafHash: leafHash(entry.body), index, ...proof });
    expect(await log.indexOf(leafHash(entry.body))).toBe(index);
  }
}

async function withDirectory(action: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'hallmark-log-'));
  try {
    await action(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe('a tree', () => {
  test('grown from 0 to 300 proves every entry at every size, and every size from every other', async () => {
    const log = await open(createMemoryStore(createMemoryDisk()));
    const roots: Uint8Array[] = [log.head().rootHash];
    for (let n = 0; n < 300; n++) {
      const appended = await log.append({ body: body(n) });
      expect(appended).toMatchObject({ index: BigInt(n), treeSize: BigInt(n + 1), duplicate: false });
      roots.push(appended.rootHash);
      expect(serializeHex(appended.rootHash)).toBe(
        serializeHex(merkleTreeHash(Array.from({ length: n + 1 }, (_, i) => body(i)))),
      );
    }
    for (let second = 1; second <= 300; second++) {
      const rootHash = roots[second] as Uint8Array;
      expect(serializeHex(await log.rootAt(BigInt(second)))).toBe(serializeHex(rootHash));
      for (let first = 0; first < second; first++) {
        const hashes = await log.inclusionPath(BigInt(first), BigInt(second));
        verifyInclusion({
          leafHash: leafHash(body(first)),
          index: BigInt(first),
          treeSize: BigInt(second),
          hashes,
          rootHash,
        });
        verifyConsistency({
          firstSize: BigInt(first),
          firstRoot: roots[first] as Uint8Array,
          secondSize: BigInt(second),
          secondRoot: rootHash,
          hashes: await log.consistencyPath(BigInt(first), BigInt(second)),
        });
      }
    }
    await log.close();
  }, 60_000);

  test('of 66,000 entries, imported in one commit, has full tiles on two levels and goes on', async () => {
    const bodies = Array.from({ length: 66_000 }, (_, n) => body(n));
    const store = createMemoryStore(createMemoryDisk());
    const { edge, filled } = extend(EMPTY_EDGE, bodies.map(leafHash));
    await store.commit([
      {
        tree: 'v2',
        expected: undefined,
        head: { treeSize: edge.size, checkpoint: signer.sign(edge.size, rootOfEdge(edge)) },
        time: clock(),
        leaves: bodies.map((bytes) => ({ body: bytes, extra: undefined, identity: undefined })),
        tiles: filled.map(({ level, index, nodes }) => ({ level, index, hashes: nodes.hashes() })),
      },
    ]);
    const log = await open(store);
    expect(serializeHex(log.head().rootHash)).toBe(serializeHex(merkleTreeHash(bodies)));
    await log.append({ body: body(66_000) });
    bodies.push(body(66_000));
    for (const index of [0n, 255n, 256n, 65_535n, 65_536n, 65_791n, 65_792n, 66_000n]) {
      const hash = leafHash(bodies[Number(index)] as Uint8Array);
      verifyInclusion({ leafHash: hash, index, ...(await log.proveInclusion(index)) });
    }
    const hexOf = (bytes: Uint8Array | undefined) => serializeHex(bytes ?? new Uint8Array());
    expect(hexOf((await log.tile(0, 1n, 256))?.subarray(0, 32))).toBe(hexOf(leafHash(body(256))));
    expect(hexOf((await log.tile(1, 0n, 256))?.subarray(32, 64))).toBe(hexOf(merkleTreeHash(bodies.slice(256, 512))));
    expect(hexOf(await log.tile(2, 0n, 1))).toBe(hexOf(merkleTreeHash(bodies.slice(0, 65_536))));
    expect(await log.tile(2, 0n, 2)).toBeUndefined();
    expect(hexOf(await log.tile(1, 1n, 1))).toBe(hexOf(merkleTreeHash(bodies.slice(65_536, 65_792))));
    expect(await log.tile(1, 1n, 2)).toBeUndefined();
  });

  test('in SQLite is the same after reopening', async () => {
    await withDirectory(async (directory) => {
      const store = openSqliteStore(directory);
      const log = await open(store);
      await Promise.all(Array.from({ length: 600 }, (_, n) => log.append({ body: body(n) })));
      const head = log.head();
      await log.close();
      await store.close();
      const reopened = openSqliteStore(directory);
      const again = await open(reopened);
      expect(again.head()).toEqual(head);
      await requireSound(again);
      expect(await again.append({ body: body(7) })).toMatchObject({ index: 7n, duplicate: true });
      expect(await again.append({ body: body(600) })).toMatchObject({ index: 600n, treeSize: 601n });
      await again.close();
      await reopened.close();
    });
  });
});

describe('a duplicate', () => {
  test('in flight gets the index of the first', async () => {
    const store = createMemoryStore(createMemoryDisk());
    const log = await open(store);
    const answers = await Promise.all([0, 1, 0, 0, 1].map((n) => log.append({ body: body(n) })));
    expect(answers.map((answer) => answer.index)).toEqual([0n, 1n, 0n, 0n, 1n]);
    expect(answers.map((answer) => answer.duplicate)).toEqual([false, false, true, true, true]);
    await requireSound(log);
  });

  test('that arrives while the first is being committed joins it', async () => {
    const store = createMemoryStore(createMemoryDisk());
    const log = await open(store);
    const first = log.append({ body: body(0) });
    while ((store.calls.get('commit') ?? 0) < 2) await new Promise((resolve) => setImmediate(resolve));
    const second = await log.append({ body: body(0) });
    expect([(await first).index, second.index, log.head().treeSize]).toEqual([0n, 0n, 1n]);
    expect(second.duplicate).toBe(true);
  });

  test('is found after reopening, with its time and a proof in the newest tree', async () => {
    const disk = createMemoryDisk();
    const log = await open(createMemoryStore(disk));
    for (let n = 0; n < 5; n++) await log.append({ body: body(n) });
    await log.close();
    const again = await open(createMemoryStore(disk));
    const answer = await again.append({ body: body(3) });
    expect(answer).toMatchObject({ index: 3n, treeSize: 5n, duplicate: true, integratedTime: clock() });
  });

  test('is told by the identity where one is given, and answers with the entry that was stored', async () => {
    const disk = createMemoryDisk();
    const openCt = () => openLog({ store: createMemoryStore(disk), tree: 'ct', signer, clock, identity: 'submitted' });
    const identity = sha256(serializeUtf8('the same'));
    const log = await openCt();
    await log.append({ body: body(0), identity });
    const again = await openCt();
    for (const opened of [log, again]) {
      const answer = await opened.append({ body: body(1), identity });
      expect(answer).toMatchObject({ index: 0n, body: body(0), duplicate: true });
      expect(await opened.indexOf(leafHash(body(0)))).toBe(0n);
      expect(await opened.indexOf(identity)).toBeUndefined();
    }
  });
});

describe('faults of the store', () => {
  function requireNoFork(disk: MemoryDisk): void {
    const sizes = disk.history.map(({ head }) => head.treeSize);
    expect(new Set(sizes).size).toBe(sizes.length);
    expect(sizes).toEqual(sizes.toSorted((a, b) => Number(a - b)));
  }

  test('a failed commit fails every waiting append and the next one succeeds', async () => {
    const store = createMemoryStore(createMemoryDisk());
    const log = await open(store);
    store.failCall('commit', 1, 'lost');
    const first = log.append({ body: body(0) });
    while ((store.calls.get('commit') ?? 0) < 2) await new Promise((resolve) => setImmediate(resolve));
    const second = log.append({ body: body(1) });
    const [one, two] = await Promise.allSettled([first, second]);
    expect([one.status, two.status]).toEqual(['rejected', 'rejected']);
    expect((await log.append({ body: body(2) })).index).toBe(0n);
  });

  test('a store that went back behind an answer is a fork: nothing is appended any more', async () => {
    const disk = createMemoryDisk();
    const store = createMemoryStore(disk);
    const log = await open(store);
    await log.append({ body: body(0) });
    const before = structuredClone(disk.trees.get('v2'));
    await log.append({ body: body(1) });
    if (before) disk.trees.set('v2', before);
    await expect(log.append({ body: body(2) })).rejects.toMatchObject({ code: 'LOG_HEAD_MOVED' });
    await expect(log.append({ body: body(3) })).rejects.toMatchObject({ code: 'LOG_FORKED' });
    await expect(log.append({ body: body(4) })).rejects.toMatchObject({ code: 'LOG_FORKED' });
  });

  test('two writers on one store never make two trees', async () => {
    const disk = createMemoryDisk();
    const one = await open(createMemoryStore(disk));
    const two = await open(createMemoryStore(disk));
    await one.append({ body: body(0) });
    await expect(two.append({ body: body(1) })).rejects.toMatchObject({ code: 'LOG_HEAD_MOVED' });
    expect((await two.append({ body: body(1) })).index).toBe(1n);
    await requireSound(two);
    requireNoFork(disk);
  });
});

describe('bounds', () => {
  test('more than half a second of work is refused with OVERLOADED, and nothing else is lost', async () => {
    const log = await open(createMemoryStore(createMemoryDisk()));
    const submitted = 6000;
    const asked = Promise.allSettled(Array.from({ length: submitted }, (_, n) => log.append({ body: body(n) })));
    expect(() => log.requireRoom()).toThrow(expect.objectContaining({ code: 'OVERLOADED' }));
    const answers = await asked;
    const refused = answers.filter((answer) => answer.status === 'rejected');
    // By what is assumed of a disk of which nothing is known: 0.125 ms an entry and 5 ms a commit.
    expect(refused.length).toBeWithin(2000, 2600);
    expect(refused.every(({ reason }) => (reason as { code: unknown }).code === 'OVERLOADED')).toBe(true);
    expect(log.head().treeSize).toBe(BigInt(submitted - refused.length));
    expect(() => log.requireRoom()).not.toThrow();
  });

  test('however slow the disk seems, one entry may wait beside those that are being committed', async () => {
    const pace = { measured: () => {}, timeFor: () => 60_000 };
    const store = createMemoryStore(createMemoryDisk());
    const log = await openLog({ store, tree: 'v2', signer, clock, identity: 'leaf-hash', pace });
    const first = log.append({ body: body(0) });
    await expect(log.append({ body: body(1) })).rejects.toMatchObject({ code: 'OVERLOADED' });
    const again = log.append({ body: body(0) });
    expect([(await first).index, (await again).index]).toEqual([0n, 0n]);
    expect((await log.append({ body: body(1) })).index).toBe(1n);
  });

  test('a log that is closing finishes what it has accepted and takes no more', async () => {
    const log = await open(createMemoryStore(createMemoryDisk()));
    const accepted = log.append({ body: body(0) });
    const closed = log.close();
    await expect(log.append({ body: body(1) })).rejects.toMatchObject({ code: 'OVERLOADED' });
    await closed;
    expect((await accepted).index).toBe(0n);
  });

  test('the answers of a full commit come in order, and all of them before a log that is closed meanwhile is', async () => {
    const log = await open(createMemoryStore(createMemoryDisk()));
    const answered: bigint[] = [];
    let closed: Promise<void> | undefined;
    const accepted = Array.from({ length: MAX_APPEND_BATCH }, async (_, n) => {
      answered.push((await log.append({ body: body(n) })).index);
      closed ??= log.close();
    });
    await Promise.race(accepted);
    await closed;
    expect(answered).toEqual(accepted.map((_, n) => BigInt(n)));
  });

  test('one answer that cannot be made fails alone', async () => {
    const store = createMemoryStore(createMemoryDisk());
    const log = await open(store);
    for (let n = 0; n < 3; n++) await log.append({ body: body(n) });
    store.failCall('leaves', 3, 'lost');
    const answers = await Promise.allSettled([0, 1, 3, 4].map((n) => log.append({ body: body(n) })));
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.index : answer.reason.code))).toEqual([
      'FILE_UNWRITABLE',
      1n,
      3n,
      4n,
    ]);
    await requireSound(log);
  });
});
