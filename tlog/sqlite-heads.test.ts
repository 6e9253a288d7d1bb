import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { copySqliteStore, openSqliteStore } from './sqlite-store.ts';
import type { Commit, Head, Store } from './store.ts';

let folder: string;
let live: string;
/** A copy of `live` as a process leaves it that is killed: with its write-ahead log. */
let killed: string;
let store: Store;
const database = () => join(killed, 'log.db');
const file = (ending: string) => `${database()}-${ending}`;

const headOf = (size: number): Head => ({ treeSize: BigInt(size), checkpoint: `${size} entries` });
const grown = (tree: string, from: number, to: number): Commit => ({
  tree,
  expected: from === 0 ? undefined : headOf(from),
  head: headOf(to),
  time: new Date(1),
  leaves: Array.from({ length: to - from }, (_, i) => ({
    body: serializeUtf8(`entry ${from + i} `.repeat(200)),
    extra: undefined,
    identity: undefined,
  })),
  tiles: [],
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hallmark-heads-'));
  live = join(folder, 'live');
  killed = join(folder, 'killed');
  mkdirSync(live);
  const before = openSqliteStore(live);
  await before.commit([grown('v1', 0, 5), grown('v2', 0, 1)]);
  await before.close();
  store = openSqliteStore(live);
  await store.commit([grown('v1', 5, 15)]);
  await store.commit([grown('v1', 15, 25), grown('v2', 1, 3)]);
  cpSync(live, killed, { recursive: true });
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

async function opened(): Promise<unknown> {
  try {
    const again = openSqliteStore(killed);
    const head = await again.head('v1');
    await again.close();
    return head?.treeSize;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

describe('a store that lost what it acknowledged is refused', () => {
  test('without its write-ahead log, naming it', async () => {
    rmSync(file('wal'));
    expect(() => openSqliteStore(killed)).toThrow(
      expect.objectContaining({
        code: 'LOG_FORKED',
        message: expect.stringContaining('holds 5 entries, and was answered for when it had 25'),
        hint: expect.stringContaining('log.db-wal'),
      }),
    );
  });

  test('with a write-ahead log that was cut short, which stays as it is', async () => {
    truncateSync(file('wal'), Math.floor(statSync(file('wal')).size * 0.7));
    const cut = readFileSync(file('wal'));
    expect(await opened()).toBe('LOG_FORKED');
    expect(Buffer.compare(readFileSync(file('wal')), cut)).toBe(0);
  });

  test('with a damaged frame in the middle, behind which the rest can still be saved', async () => {
    const wal = readFileSync(file('wal'));
    const [at, length] = [Math.floor(wal.length / 2), wal.length];
    wal[at] = ~(wal[at] as number) & 0xff;
    writeFileSync(file('wal'), wal);
    expect(await opened()).toBe('LOG_FORKED');
    expect(statSync(file('wal')).size).toBe(length);
  });

  test('also by who copies it', () => {
    rmSync(file('wal'));
    expect(() => copySqliteStore(killed, join(folder, 'copy.db'))).toThrow(
      expect.objectContaining({ code: 'LOG_FORKED' }),
    );
  });
});

describe('a store is opened', () => {
  test('after its process was killed', async () => {
    expect(await opened()).toBe(25n);
    expect(await opened()).toBe(25n);
  });

  test('where the heads lag behind, as after a loss of power', async () => {
    const newer = readFileSync(file('heads'));
    await store.commit([grown('v1', 25, 26)]);
    cpSync(live, killed, { recursive: true });
    writeFileSync(file('heads'), newer);
    expect(await opened()).toBe(26n);
  });

  test.each([
    ['absent, as before there were any', () => rmSync(file('heads'))],
    ['empty', () => writeFileSync(file('heads'), '')],
    ['of zeros', () => writeFileSync(file('heads'), new Uint8Array(256))],
    ['half a record', () => truncateSync(file('heads'), 60)],
    [
      'records that were never written whole',
      () => {
        const heads = readFileSync(file('heads'));
        heads.write('99', 3);
        writeFileSync(file('heads'), heads);
      },
    ],
  ])('where the heads are %s, and heads are kept from then on', async (_, damage) => {
    damage();
    const again = openSqliteStore(killed);
    await again.commit([grown('v2', 3, 4)]);
    await again.close();
    expect(readFileSync(file('heads'), 'latin1')).toContain('v1 25 ');
    expect(readFileSync(file('heads'), 'latin1')).toContain('v2 4 ');
    expect(await opened()).toBe(25n);
  });

  test('and commits where its heads cannot be kept', async () => {
    const again = openSqliteStore(killed);
    rmSync(file('heads'));
    // A device that refuses every write, as a full disk does.
    if (existsSync('/dev/full')) symlinkSync('/dev/full', file('heads'));
    else mkdirSync(file('heads'));
    await again.commit([grown('v1', 25, 26)]);
    expect((await again.head('v1'))?.treeSize).toBe(26n);
    await again.close();
  });
});
