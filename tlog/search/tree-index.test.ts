import { afterAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeUtf8 } from '../../core/bytes/bytes.ts';
import type { Fingerprint } from '../index/rows.ts';
import type { IndexQuery } from './search-source.ts';
import { TreeIndex, type TreeIndexOptions } from './tree-index.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hallmark-search-'));
  folders.push(folder);
  return join(folder, 'index');
}

const SLOT = 8;
/** Few values, so that queries meet. */
const key = (kind: number, value: number): Fingerprint => ({ high: kind, low: value });
const NAMES = [
  'a@example.com',
  'alice@example.com',
  'bob@corp.example',
  'https://github.com/a/b',
  'https://github.com/c',
];

interface Entry {
  keys: Fingerprint[];
  names: string[];
  seconds: number;
}

/** Time goes mostly on. */
function randomEntry(index: number): Entry {
  const random = (count: number) => Math.floor(Math.random() * count);
  return {
    keys: [key(0, 0), key(1, random(3)), key(2, random(20)), key(3, index)],
    names: NAMES.filter(() => Math.random() < 0.3),
    seconds: 1000 + index * 10 - (Math.random() < 0.1 ? 50 : 0),
  };
}

const rootOf = (log: readonly Entry[], size: number): string => JSON.stringify(log[size - 1]?.seconds);

function open(directory: string | undefined, log: readonly Entry[], options: Partial<TreeIndexOptions> = {}) {
  const faults: string[] = [];
  const index = new TreeIndex({
    directory,
    tree: 'v1',
    slotEntries: SLOT,
    fanout: 2,
    levels: 3,
    onFault: (fault) => faults.push(fault),
    ...options,
  });
  const ends = index.open();
  index.keep(new Map(ends.filter((end) => end <= log.length).map((end) => [end, rootOf(log, end)])));
  return { index, faults };
}

/** Adds what is wanted, at most `steps` times. */
function follow(index: TreeIndex, log: readonly Entry[], batch = 3, steps = Number.POSITIVE_INFINITY): number {
  let taken = 0;
  for (let i = 0; i < steps; i++) {
    const wanted = index.wanted(log.length, batch);
    if (!wanted) break;
    const entries = log.slice(wanted.start, wanted.end).map(({ keys, names, seconds }) => ({
      keys,
      names: names.map((name) => serializeUtf8(name)),
      seconds,
    }));
    index.add(wanted.start, entries, index.isSlotEnd(wanted.end) ? rootOf(log, wanted.end) : undefined);
    taken += entries.length;
  }
  return taken;
}

type Query = { groups?: Fingerprint[][]; prefix?: string; since?: number; until?: number };

function scan(log: readonly Entry[], { groups = [], prefix, since, until }: Query): number[] {
  const has = (entry: Entry, wanted: Fingerprint) =>
    entry.keys.some(({ high, low }) => high === wanted.high && low === wanted.low);
  return [...log.keys()]
    .filter((i) => {
      const entry = log[i] as Entry;
      return (
        groups.every((group) => group.some((wanted) => has(entry, wanted))) &&
        (prefix === undefined || entry.names.some((name) => name.startsWith(prefix))) &&
        (since === undefined || entry.seconds >= since) &&
        (until === undefined || entry.seconds < until)
      );
    })
    .reverse();
}

function searchAll(index: TreeIndex, size: number, query: Query, limit: number, seeks: number): number[] {
  const { groups = [], prefix, since, until } = query;
  const asked: IndexQuery = { groups, prefix: prefix === undefined ? undefined : serializeUtf8(prefix), since, until };
  const found: number[] = [];
  for (let before: number | undefined = size; before !== undefined; ) {
    const page = index.search(asked, before, limit, { seeks });
    expect(page.indexes.length).toBeLessThanOrEqual(limit);
    expect(page.seconds.length).toBe(page.indexes.length);
    found.push(...page.indexes);
    if (page.next !== undefined) expect(page.next).toBeLessThanOrEqual(before);
    before = page.next;
  }
  return found;
}

function expectSame(index: TreeIndex, log: readonly Entry[]): void {
  const queries: Query[] = [
    {},
    { groups: [[key(0, 0)]] },
    { groups: [[key(1, 1)]] },
    { groups: [[key(1, 1), key(1, 2)], [key(2, 5)]] },
    { groups: [[key(2, 7)], [key(1, 0)], [key(0, 0)]] },
    { groups: [[key(3, Math.floor(log.length / 2))]] },
    { groups: [[key(9, 9)]] },
    { prefix: 'a' },
    { prefix: 'https://github.com/' },
    { prefix: 'zzz' },
    { prefix: 'b', groups: [[key(1, 0)]] },
    { since: 1100 },
    { since: 1080, until: 1200, groups: [[key(1, 2)]] },
    { until: 1150, prefix: 'alice' },
    { since: 99_999 },
  ];
  for (const query of queries) {
    for (const [limit, seeks] of [
      [1, 10],
      [3, 5],
      [1000, 100_000],
    ] as const) {
      expect([query, searchAll(index, log.length, query, limit, seeks)]).toEqual([query, scan(log, query)]);
    }
  }
}

const grow = (log: Entry[], count: number) => {
  for (let i = 0; i < count; i++) log.push(randomEntry(log.length));
};

describe('the search index of a tree', () => {
  test.each([true, false])('finds what a scan finds while it grows and merges (in files: %p)', async (inFiles) => {
    const log: Entry[] = [];
    const { index, faults } = open(inFiles ? newFolder() : undefined, log);
    for (const count of [0, 1, 6, 1, 1, 7, 20, 33, 2]) {
      grow(log, count);
      follow(index, log);
      expect(index.indexed).toBe(log.length);
      expectSame(index, log);
      if (count > 10) {
        await index.settled();
        expectSame(index, log);
      }
    }
    expect(faults).toEqual([]);
    await index.close();
  });

  test('is written in ever larger files, each level a fixed number of times', async () => {
    const directory = newFolder();
    const log: Entry[] = [];
    grow(log, 11 * SLOT + 3);
    const { index } = open(directory, log);
    follow(index, log);
    await index.settled();
    expect(readdirSync(directory).sort()).toEqual(
      [
        [0, 32],
        [32, 64],
        [64, 80],
        [80, 88],
      ].map(([start, end]) => `v1-search-${start}-${end}.idx`),
    );
    expectSame(index, log);
    await index.close();
  });

  test('takes only the newest entries in again after a restart', async () => {
    const directory = newFolder();
    const log: Entry[] = [];
    grow(log, 9 * SLOT + 5);
    const first = open(directory, log);
    follow(first.index, log);
    await first.index.settled();
    await first.index.close();
    const { index, faults } = open(directory, log);
    expect(follow(index, log)).toBe(5);
    expectSame(index, log);
    expect(faults).toEqual([]);
    await index.close();
  });

  test('begins with the newest entries where it is far behind, and fills the gap from there down', async () => {
    const log: Entry[] = [];
    grow(log, 10 * SLOT + 2);
    const { index } = open(newFolder(), log);
    follow(index, log, 3, 1);
    expect(searchAll(index, log.length, {}, 10, 100)).toEqual([81, 80]);
    grow(log, 1);
    follow(index, log, 3, 2);
    expect(searchAll(index, log.length, {}, 10, 100)).toEqual([82, 81, 80, 74, 73, 72]);
    follow(index, log);
    expect(index.indexed).toBe(log.length);
    await index.settled();
    expectSame(index, log);
    await index.close();
  });

  test('what a crash leaves, at each step of sealing and merging, is noticed and made again', async () => {
    const directory = newFolder();
    const log: Entry[] = [];
    grow(log, 7 * SLOT + 1);
    const first = open(directory, log);
    follow(first.index, log);
    await first.index.settled();
    await first.index.close();
    const good = new Map(readdirSync(directory).map((name) => [name, readFileSync(join(directory, name))]));
    expect([...good.keys()].sort()).toEqual(['v1-search-0-32.idx', 'v1-search-32-48.idx', 'v1-search-48-56.idx']);
    const flipped = (bytes: Buffer, at: number) => {
      const bad = Buffer.from(bytes);
      bad[at] = (bad[at] as number) ^ 8;
      return bad;
    };
    const crashes: [string, (path: string, bytes: Buffer) => void][] = [
      ['a missing file', (path) => rmSync(path)],
      ['an empty file', (path) => writeFileSync(path, '')],
      ['a file not yet renamed', (path) => renameSync(path, `${path}.new`)],
      ['a cut file', (path, bytes) => writeFileSync(path, bytes.subarray(0, bytes.length - 4096))],
      ['a flipped bit in its first page', (path, bytes) => writeFileSync(path, flipped(bytes, 40))],
      ['a flipped bit in its rows', (path, bytes) => writeFileSync(path, flipped(bytes, 4100))],
      ['a flipped bit near its end', (path, bytes) => writeFileSync(path, flipped(bytes, bytes.length - 4000))],
      ['a page of zeros', (path, bytes) => writeFileSync(path, Buffer.from(bytes).fill(0, 4096, 8192))],
      ['the file of another range', (path) => writeFileSync(path, [...good.values()][0] as Buffer)],
      ['the file of another log', (path) => writeFileSync(path, otherLog(path))],
    ];
    const otherLog = (path: string): Buffer => {
      const other = newFolder();
      const otherEntries: Entry[] = [];
      grow(otherEntries, log.length);
      for (const entry of otherEntries) entry.seconds += 1;
      const { index } = open(other, otherEntries);
      follow(index, otherEntries, 1000);
      const name = path.slice(path.lastIndexOf('/') + 1);
      return existsSync(join(other, name)) ? readFileSync(join(other, name)) : (good.get(name) as Buffer);
    };
    for (const [name, crash] of crashes) {
      for (const [file, bytes] of good) {
        rmSync(directory, { recursive: true });
        const { mkdirSync } = await import('node:fs');
        mkdirSync(directory);
        for (const [other, content] of good) writeFileSync(join(directory, other), content);
        crash(join(directory, file), bytes);
        const { index } = open(directory, log);
        // Damage that no opening shows is found by a search, which leaves the file out.
        follow(index, log);
        for (let i = 0; i < 3; i++) {
          for (const query of [{}, { groups: [[key(0, 0)]] }, { prefix: 'a' }, { since: 0 }]) {
            searchAll(index, log.length, query, 1000, 100_000);
          }
          follow(index, log);
        }
        await index.settled();
        follow(index, log);
        expect([name, file, index.indexed]).toEqual([name, file, log.length]);
        expectSame(index, log);
        await index.close();
      }
    }
  });

  test('parts that a crash left beside what they were merged into are removed', async () => {
    const directory = newFolder();
    const log: Entry[] = [];
    grow(log, SLOT);
    const first = open(directory, log);
    follow(first.index, log);
    await first.index.close();
    const part = readFileSync(join(directory, 'v1-search-0-8.idx'));
    grow(log, SLOT);
    const second = open(directory, log);
    follow(second.index, log);
    await second.index.settled();
    await second.index.close();
    writeFileSync(join(directory, 'v1-search-0-8.idx'), part);
    const { index } = open(directory, log);
    expect(readdirSync(directory)).toEqual(['v1-search-0-16.idx']);
    expect(follow(index, log)).toBe(0);
    expectSame(index, log);
    await index.close();
  });

  test('a damaged part that is to be merged is made again and merged then', async () => {
    const directory = newFolder();
    const log: Entry[] = [];
    grow(log, SLOT);
    const { index, faults } = open(directory, log);
    follow(index, log);
    const path = join(directory, 'v1-search-0-8.idx');
    const bytes = readFileSync(path);
    bytes[4200] = (bytes[4200] as number) ^ 1;
    writeFileSync(path, bytes);
    grow(log, SLOT);
    follow(index, log);
    await index.settled();
    expect(faults.length).toBe(1);
    follow(index, log);
    await index.settled();
    expect(index.indexed).toBe(log.length);
    expect(readdirSync(directory)).toEqual(['v1-search-0-16.idx']);
    expectSame(index, log);
    await index.close();
  });

  test('files that cannot be written leave a gap, not a full memory', async () => {
    const folder = newFolder();
    writeFileSync(folder, 'a file where the folder should be');
    const log: Entry[] = [];
    grow(log, SLOT + 1);
    const { index, faults } = open(undefined, log);
    await index.close();
    expect(faults).toEqual([]);
    const blocked = new TreeIndex({
      directory: join(folder, 'index'),
      tree: 'v1',
      slotEntries: SLOT,
      fanout: 2,
      levels: 3,
      onFault: (fault) => faults.push(fault),
    });
    blocked.open();
    follow(blocked, log, SLOT, 2);
    expect(faults.length).toBeGreaterThan(0);
    expect(blocked.indexed).toBeLessThan(log.length);
    await blocked.close();
  });
});
