import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { concat, serializeUtf8 } from '../core/bytes/bytes.ts';
import { openSqliteStore } from './sqlite-store.ts';
import type { Commit } from './store.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hallmark-store-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const key = (n: number) => new Uint8Array(32).fill(n);
const first: Commit = {
  tree: 'v1',
  expected: undefined,
  head: { treeSize: 2n, checkpoint: 'two' },
  time: new Date(1),
  leaves: [
    { body: serializeUtf8('a'), extra: undefined, identity: key(1) },
    { body: serializeUtf8('b'), extra: serializeUtf8('more'), identity: key(2) },
  ],
  tiles: [{ level: 0, index: 0n, hashes: key(7) }],
};

describe('the SQLite store', () => {
  test('keeps what was committed, over a restart', async () => {
    const store = openSqliteStore(directory);
    expect(await store.head('v1')).toBeUndefined();
    await store.commit([first]);
    await store.close();
    const again = openSqliteStore(directory);
    expect(await again.head('v1')).toEqual(first.head);
    expect(await again.head('v2')).toBeUndefined();
    expect(await again.leaves('v1', 0n, 9n)).toEqual(
      first.leaves.map(({ body, extra }) => ({ body, extra, time: first.time })),
    );
    expect(await again.leaves('v1', 1n, 2n)).toHaveLength(1);
    expect(await again.tile('v1', 0, 0n)).toEqual(key(7));
    expect(await again.tile('v1', 1, 0n)).toBeUndefined();
    expect(await again.identities('v1', 0n, 9n)).toEqual(concat(key(1), key(2)));
    expect(await again.identities('v1', 1n, 2n)).toEqual(key(2));
    expect(await again.identities('v2', 0n, 9n)).toHaveLength(0);
    await again.close();
  });

  test('settles a setting once', async () => {
    const store = openSqliteStore(directory);
    expect(await store.once('tree', 'a')).toBe('a');
    expect(await store.once('tree', 'b')).toBe('a');
    await store.close();
  });

  test('changes nothing if the head is another than expected', async () => {
    const store = openSqliteStore(directory);
    await store.commit([first]);
    for (const expected of [undefined, { treeSize: 1n, checkpoint: 'two' }, { treeSize: 2n, checkpoint: 'other' }]) {
      const commit = { ...first, expected, head: { treeSize: 9n, checkpoint: 'nine' } };
      await expect(store.commit([commit])).rejects.toMatchObject({ code: 'LOG_HEAD_MOVED' });
    }
    expect(await store.head('v1')).toEqual(first.head);
    await store.close();
  });

  test('undoes the whole commit if a part of it fails', async () => {
    const store = openSqliteStore(directory);
    await store.commit([first]);
    const leaf = { body: serializeUtf8('c'), extra: undefined, identity: key(3) };
    const next = { ...first, expected: first.head, head: { treeSize: 3n, checkpoint: 'three' }, leaves: [leaf] };
    const tiles = [{ level: 0, index: 0n, hashes: key(8) }]; // a tile is written once
    await expect(store.commit([{ ...next, tiles }])).rejects.toMatchObject({ code: 'DATABASE_CORRUPT' });
    expect(await store.head('v1')).toEqual(first.head);
    expect(await store.leaves('v1', 2n, 3n)).toEqual([]);
    expect(await store.identities('v1', 2n, 3n)).toHaveLength(0);
    await store.commit([{ ...next, tiles: [] }]);
    await store.close();
  });

  test('extends several trees at once, or none', async () => {
    const store = openSqliteStore(directory);
    const other = { ...first, tree: 'v2' };
    await store.commit([first, other]);
    expect([await store.head('v1'), await store.head('v2')]).toEqual([first.head, first.head]);
    const next = { ...first, expected: first.head, head: { treeSize: 4n, checkpoint: 'four' }, tiles: [] };
    await expect(store.commit([next, other])).rejects.toMatchObject({ code: 'LOG_HEAD_MOVED' });
    expect(await store.head('v1')).toEqual(first.head);
    await store.close();
  });

  test('uses a write-ahead log, which outlives the process', async () => {
    const store = openSqliteStore(directory);
    await store.commit([first]);
    await store.close();
    const database = new Database(join(directory, 'log.db'));
    expect(database.query('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' });
    database.close();
  });
});

const path = () => join(directory, 'log.db');

async function codeOf(action: () => unknown): Promise<unknown> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

test('only the owner may read the database and what SQLite lays beside it', async () => {
  const store = openSqliteStore(directory);
  await store.commit([first]);
  const modes = readdirSync(directory).map((name) => [name, statSync(join(directory, name)).mode & 0o777]);
  expect(modes.sort()).toEqual([
    ['log.db', 0o600],
    ['log.db-heads', 0o600],
    ['log.db-shm', 0o600],
    ['log.db-wal', 0o600],
  ]);
  await store.close();
});

describe('a store that held logs is refused', () => {
  const contents = () =>
    readdirSync(directory).map((name) => [name, readFileSync(join(directory, name)).toString('base64')]);

  test('if its database is missing, and none is made', async () => {
    expect(() => openSqliteStore(directory, ['v2'])).toThrow(
      expect.objectContaining({ code: 'DATABASE_CORRUPT', hint: expect.stringContaining('backup') }),
    );
    expect(readdirSync(directory)).toEqual([]);
  });

  test('if its database has zero length, and the write-ahead log stays', async () => {
    writeFileSync(path(), '');
    writeFileSync(`${path()}-wal`, 'what may still be rescued');
    const before = contents();
    expect(await codeOf(() => openSqliteStore(directory, ['v2']))).toBe('DATABASE_CORRUPT');
    expect(contents()).toEqual(before);
  });

  test('if its database was made again and is empty', async () => {
    await openSqliteStore(directory).close();
    const before = contents();
    expect(await codeOf(() => openSqliteStore(directory, ['v2']))).toBe('DATABASE_CORRUPT');
    expect(contents()).toEqual(before);
  });

  test('if its database has no tables', async () => {
    const database = new Database(path(), { create: true });
    database.run('CREATE TABLE t (a)');
    database.run('DROP TABLE t');
    database.close();
    const before = contents();
    expect(await codeOf(() => openSqliteStore(directory, ['v2']))).toBe('DATABASE_CORRUPT');
    expect(contents()).toEqual(before);
  });

  test('if one of the logs has no head', async () => {
    const store = openSqliteStore(directory);
    await store.commit([first]);
    const database = new Database(path());
    database.run('CREATE TABLE v2_head (one INTEGER PRIMARY KEY, size INTEGER NOT NULL, checkpoint TEXT NOT NULL)');
    database.close();
    await store.close();
    expect(await codeOf(() => openSqliteStore(directory, ['v1', 'v2']))).toBe('DATABASE_CORRUPT');
    expect(await codeOf(() => openSqliteStore(directory, ['v1', 'ct']))).toBe('DATABASE_CORRUPT');
  });

  test('not if all of them are there, and another one may begin', async () => {
    const store = openSqliteStore(directory);
    await store.commit([first]);
    await store.close();
    const again = openSqliteStore(directory, ['v1']);
    expect(await again.head('v1')).toEqual(first.head);
    await again.commit([{ ...first, tree: 'v2' }]);
    await again.close();
  });
});

describe('a database that cannot be used', () => {
  test('no database at all', async () => {
    writeFileSync(path(), 'this is a letter to my grandmother, not a database. '.repeat(200));
    expect(await codeOf(() => openSqliteStore(directory))).toBe('DATABASE_CORRUPT');
  });

  test('a database of another program', async () => {
    const other = new Database(path(), { create: true });
    other.run('CREATE TABLE t (a)');
    other.close();
    expect(await codeOf(() => openSqliteStore(directory))).toBe('DATABASE_CORRUPT');
  });

  test('a newer format', async () => {
    await openSqliteStore(directory).close();
    const database = new Database(path());
    database.run('PRAGMA user_version = 99');
    database.close();
    expect(await codeOf(() => openSqliteStore(directory))).toBe('DATABASE_CORRUPT');
  });

  test('cut off in the middle', async () => {
    const store = openSqliteStore(directory);
    const leaves = Array.from({ length: 300 }, (_, n) => ({
      body: new Uint8Array(2000).fill(n),
      extra: undefined,
      identity: undefined,
    }));
    await store.commit([{ ...first, head: { treeSize: 300n, checkpoint: 'x' }, leaves, tiles: [] }]);
    await store.close();
    truncateSync(path(), 100_000);
    expect(
      await codeOf(async () => {
        const damaged = openSqliteStore(directory);
        await damaged.leaves('v1', 0n, 300n);
      }),
    ).toBe('DATABASE_CORRUPT');
  });

  test('a directory that does not exist', async () => {
    expect(await codeOf(() => openSqliteStore(join(directory, 'absent')))).toBe('FILE_UNWRITABLE');
  });

  test('a directory that may not be written', async () => {
    chmodSync(directory, 0o500);
    // Modes do not bind root; the kernel's own directories do.
    const unwritable = process.getuid?.() === 0 ? '/proc' : directory;
    expect(await codeOf(() => openSqliteStore(unwritable))).toBe('FILE_UNWRITABLE');
    chmodSync(directory, 0o700);
  });

  test('names the remedy', () => {
    writeFileSync(path(), 'x'.repeat(5000));
    expect(() => openSqliteStore(directory)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('backup') }),
    );
  });
});
