import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeHashedRekordV001 } from '../../core/bundle/entry.ts';
import { serializeUtf8 } from '../../core/bytes/bytes.ts';
import { sha256 } from '../../core/crypto/hash.ts';
import { generateKey } from '../../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../../core/crypto/public-key.ts';
import { rejectionOf } from '../../core/testing.ts';
import { createIndexThread, createLocalThread, type IndexThread } from '../index/thread.ts';
import type { LogReader } from '../log-reader.ts';
import type { Leaf } from '../store.ts';
import { createFollower, type Follower } from './follower.ts';
import { type SearchableLog, searchAll, searchPage } from './search.ts';
import { termKey } from './terms.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hallmark-follower-'));
  folders.push(folder);
  return join(folder, 'index');
}

const PEM = serializePublicKeyPem(generateKey('p256').publicKey);
const SIZES = { slotEntries: 8, fanout: 2, levels: 3 };
const digestOf = (text: string) => sha256(serializeUtf8(text));

/** A log that can be made longer, and break. */
function fakeLog() {
  const leaves: Leaf[] = [];
  const state = { broken: false, reads: 0 };
  const log = {
    head: () => ({ treeSize: BigInt(leaves.length) }),
    async entries(start: bigint, end: bigint) {
      if (state.broken) throw new Error('the disk is gone');
      state.reads += Number(end - start);
      return leaves.slice(Number(start), Number(end));
    },
    async entry(index: bigint) {
      return leaves[Number(index)];
    },
    rootAt: async (size: bigint) => digestOf(`root ${size}`),
  } as unknown as LogReader;
  const grow = (count: number, text = (i: number) => `artifact ${i % 10}`): void => {
    for (let i = 0; i < count; i++) {
      const at = leaves.length;
      leaves.push({
        body: serializeHashedRekordV001({
          hash: 'sha256',
          digest: digestOf(text(at)),
          signature: digestOf(`signature ${at}`),
          publicKeyPem: PEM,
        }),
        time: new Date(1_700_000_000_000 + at * 1000),
        extra: undefined,
      });
    }
  };
  return { log, leaves, grow, state };
}

function follow(fake: ReturnType<typeof fakeLog>, directory: string | undefined, thread: IndexThread) {
  const faults: unknown[] = [];
  const follower = createFollower({
    log: fake.log,
    tree: 'v1',
    thread,
    directory,
    onFault: (fault) => faults.push(fault),
    sizes: SIZES,
  });
  return { follower, faults, searchable: { name: 'v1', log: fake.log, follower, entryId: undefined } };
}

const query = (text: string) => ({
  groups: [[termKey('digest', `sha256:${digestOf(text).toHex()}`)]],
  prefix: undefined,
  since: undefined,
  until: undefined,
});
const indexesOf = async (log: SearchableLog, text: string): Promise<number[]> =>
  (await searchAll(log, query(text), 1000)).map(({ index }) => index);
const every = (from: number, size: number): number[] =>
  Array.from({ length: size }, (_, i) => i).filter((i) => i % 10 === from);

async function expectAll(follower: Follower, searchable: SearchableLog, size: number): Promise<void> {
  expect(await follower.caughtUp('all', 10_000)).toBe(true);
  expect(follower.coverage()).toEqual({ treeSize: size, indexed: size });
  for (const i of [0, 7]) expect(await indexesOf(searchable, `artifact ${i}`)).toEqual(every(i, size));
  expect(await indexesOf(searchable, 'nothing')).toEqual([]);
}

describe('a follower', () => {
  test.each([
    ['in a thread of its own, with files', true],
    ['in memory alone', false],
  ])('finds what was logged before the question, %s', async (_, inFiles) => {
    const fake = fakeLog();
    const thread = inFiles ? createIndexThread() : createLocalThread();
    const { follower, faults, searchable } = follow(fake, inFiles ? newFolder() : undefined, thread);
    for (const count of [0, 1, 20, 100, 3]) {
      fake.grow(count);
      await expectAll(follower, searchable, fake.leaves.length);
    }
    expect(faults).toEqual([]);
    await follower.close();
    await thread.close();
  });

  test('an index that was built at once is the one that grew, and goes on from its files', async () => {
    const fake = fakeLog();
    const [grown, built] = [newFolder(), newFolder()];
    const thread = createLocalThread();
    const first = follow(fake, grown, thread);
    for (let i = 0; i < 10; i++) {
      fake.grow(13);
      await first.follower.caughtUp('all', 10_000);
    }
    await expectAll(first.follower, first.searchable, 130);
    await first.follower.close();
    const second = follow(fake, built, thread);
    await expectAll(second.follower, second.searchable, 130);
    await second.follower.close();
    for (const directory of [grown, built]) {
      fake.state.reads = 0;
      const again = follow(fake, directory, thread);
      await expectAll(again.follower, again.searchable, 130);
      // What did not fill a segment, and nothing else.
      expect(fake.state.reads).toBe(2);
      expect(again.faults).toEqual([]);
      await again.follower.close();
    }
    // Deleted, it loses nothing.
    rmSync(grown, { recursive: true });
    const last = follow(fake, grown, thread);
    await expectAll(last.follower, last.searchable, 130);
    await last.follower.close();
    expect(readdirSync(grown).length).toBeGreaterThan(0);
  });

  test('begins anew where its thread died', async () => {
    const fake = fakeLog();
    const inner = createLocalThread();
    let starts = 1;
    let dead = false;
    const thread: IndexThread = {
      get starts() {
        return starts;
      },
      run: (task, args) => {
        if (!dead) return inner.run(task, args);
        dead = false;
        starts++;
        return Promise.reject(new Error('the thread of the indexes ended'));
      },
      close: () => inner.close(),
    };
    const { follower, faults, searchable } = follow(fake, newFolder(), thread);
    fake.grow(30);
    await expectAll(follower, searchable, 30);
    dead = true;
    await expect(rejectionOf(searchPage([searchable], query('x'), undefined, 1))).resolves.toMatchObject({
      code: 'OVERLOADED',
    });
    fake.grow(5);
    await expectAll(follower, searchable, 35);
    expect(faults.length).toBe(0);
    dead = true;
    fake.grow(5);
    await expectAll(follower, searchable, 40);
    expect(faults.length).toBe(1);
    await follower.close();
  });

  test('says that it is behind while the log cannot be read, and goes on when it can', async () => {
    const fake = fakeLog();
    const { follower, faults, searchable } = follow(fake, undefined, createLocalThread());
    fake.grow(5);
    await follower.caughtUp('all', 10_000);
    fake.state.broken = true;
    fake.grow(3);
    expect(await follower.caughtUp('all', 50)).toBe(false);
    expect(follower.coverage()).toEqual({ treeSize: 8, indexed: 5 });
    expect(faults.map(String)).toEqual(['Error: the disk is gone']);
    // What was indexed before is still found.
    expect(await indexesOf(searchable, 'artifact 3')).toEqual([3]);
    expect(await indexesOf(searchable, 'artifact 7')).toEqual([]);
    fake.state.broken = false;
    await expectAll(follower, searchable, 8);
    await follower.close();
  });

  test('that failed and began anew does not work on its files twice', async () => {
    const fake = fakeLog();
    const directory = newFolder();
    const { follower, faults, searchable } = follow(fake, directory, createLocalThread());
    fake.grow(40);
    await expectAll(follower, searchable, 40);
    fake.state.broken = true;
    fake.grow(10);
    expect(await follower.caughtUp('all', 50)).toBe(false);
    fake.state.broken = false;
    fake.grow(14);
    await expectAll(follower, searchable, 64);
    await follower.close();
    expect(faults.length).toBe(1);
    expect(readdirSync(directory).sort()).toEqual(['v1-search-0-32.idx', 'v1-search-32-64.idx']);
  });

  test('does not find an entry for a key that only looks alike', async () => {
    const fake = fakeLog();
    fake.grow(20);
    const { follower, searchable } = follow(fake, undefined, createLocalThread());
    await follower.caughtUp('all', 10_000);
    const [[key]] = query('artifact 3').groups as [[Uint8Array]];
    const alike = key.slice();
    alike[31] = (alike[31] as number) ^ 1;
    const page = await searchPage([searchable], { ...query(''), groups: [[alike]] }, undefined, 10);
    expect(page.hits).toEqual([]);
    expect(await indexesOf(searchable, 'artifact 3')).toEqual([3, 13]);
    await follower.close();
  });

  test('has the newest entries before a gap is filled', async () => {
    const fake = fakeLog();
    const directory = newFolder();
    fake.grow(16 * 130 + 1);
    const thread = createLocalThread();
    const slow: IndexThread = {
      ...thread,
      run: (task, args) => Bun.sleep(1).then(() => thread.run(task, args)) as never,
    };
    const { follower, searchable } = follow(fake, directory, slow);
    expect(await follower.caughtUp('newest', 10_000)).toBe(true);
    expect(follower.coverage().indexed).toBeLessThan(fake.leaves.length);
    const { hits } = await searchPage([searchable], { ...query(''), groups: [] }, undefined, 1);
    expect(hits.map(({ index }) => index)).toEqual([fake.leaves.length - 1]);
    await follower.close();
  });

  test('ends while it waits, and answers who waits for it', async () => {
    const fake = fakeLog();
    const { follower } = follow(fake, undefined, createLocalThread());
    fake.state.broken = true;
    fake.grow(1);
    const waiting = follower.caughtUp('all', 60_000);
    await follower.close();
    expect(await waiting).toBe(false);
  });
});
