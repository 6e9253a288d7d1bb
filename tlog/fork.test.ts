import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { generateKey, type PrivateKey } from '../core/crypto/private-key.ts';
import { createNoteSigner, createTreeHeadSigner } from './checkpoint-signer.ts';
import { type Log, openLog } from './log.ts';
import { openSqliteStore } from './sqlite-store.ts';
import { createMemoryDisk, createMemoryStore } from './testing-store.ts';

const KEY = generateKey('ed25519');
const clock = () => new Date('2026-03-01T12:00:00Z');
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hallmark-fork-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

async function withLog<T>(action: (log: Log) => Promise<T>, host = 'log.example', key: PrivateKey = KEY): Promise<T> {
  const store = openSqliteStore(directory);
  try {
    const log = await openLog({
      store,
      tree: 'v2',
      signer: createNoteSigner(host, host, key),
      clock,
      identity: 'leaf-hash',
    });
    const result = await action(log);
    await log.close();
    return result;
  } finally {
    await store.close();
  }
}

const fill = (count: number, from = 0) =>
  withLog((log) =>
    Promise.all(Array.from({ length: count }, (_, i) => log.append({ body: serializeUtf8(`entry ${from + i}`) }))),
  );

function tamper(...statements: string[]): void {
  const database = new Database(join(directory, 'log.db'));
  for (const statement of statements) database.run(statement);
  database.close();
}

const reopened = async (): Promise<unknown> => {
  try {
    await withLog(async () => {});
    return 'opened';
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
};

describe('a log does not start', () => {
  test('if an entry of its edge was changed', async () => {
    await fill(300);
    tamper("UPDATE v2_leaf SET body = x'00' WHERE leaf = 299");
    expect(await reopened()).toBe('LOG_FORKED');
  });

  test('if a full tile was changed', async () => {
    await fill(300);
    tamper('UPDATE v2_tile SET hashes = zeroblob(8192) WHERE tile = 0');
    expect(await reopened()).toBe('LOG_FORKED');
  });

  test('if a full tile is missing', async () => {
    await fill(300);
    tamper('DELETE FROM v2_tile');
    expect(await reopened()).toBe('DATABASE_CORRUPT');
  });

  test('if the last entry is missing', async () => {
    await fill(300);
    tamper('DELETE FROM v2_leaf WHERE leaf = 299');
    expect(await reopened()).toBe('DATABASE_CORRUPT');
  });

  test('if its head was put back to an older one', async () => {
    await fill(10);
    const database = new Database(join(directory, 'log.db'));
    const head = database.query<{ checkpoint: string }, []>('SELECT checkpoint FROM v2_head').get();
    database.close();
    await fill(5, 10);
    tamper(`UPDATE v2_head SET size = 10, checkpoint = '${head?.checkpoint}'`);
    expect(await reopened()).toBe('LOG_FORKED');
  });

  test('if its head is gone while entries are there', async () => {
    await fill(10);
    tamper('DELETE FROM v2_head');
    expect(await reopened()).toBe('LOG_FORKED');
  });

  test('if the size beside the checkpoint was changed', async () => {
    await fill(10);
    tamper('UPDATE v2_head SET size = 9', 'DELETE FROM v2_leaf WHERE leaf = 9');
    expect(await reopened()).toBe('LOG_FORKED');
  });

  test('if its checkpoint is no checkpoint', async () => {
    await fill(10);
    tamper("UPDATE v2_head SET checkpoint = 'hello'");
    expect(await reopened()).toBe('DATABASE_CORRUPT');
  });

  test('with another key', async () => {
    await fill(10);
    await expect(withLog(async () => {}, 'log.example', generateKey('ed25519'))).rejects.toMatchObject({
      code: 'LOG_FORKED',
    });
  });

  test('under another name', async () => {
    await fill(10);
    await expect(withLog(async () => {}, 'other.example')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  test('untouched it does', async () => {
    await fill(300);
    expect(await reopened()).toBe('opened');
  });
});

describe('a log whose creation fails', () => {
  test.each(['lost', 'persisted'] as const)('%s: is created the next time', async (fault) => {
    const disk = createMemoryDisk();
    const signer = createNoteSigner('log.example', 'log.example', KEY);
    const failing = createMemoryStore(disk);
    failing.failCall('commit', 1, fault);
    await expect(openLog({ store: failing, tree: 'v2', signer, clock, identity: 'leaf-hash' })).rejects.toThrow();
    const log = await openLog({ store: createMemoryStore(disk), tree: 'v2', signer, clock, identity: 'leaf-hash' });
    expect((await log.append({ body: serializeUtf8('a') })).index).toBe(0n);
    expect(disk.history.length).toBe(2);
  });
});

describe('the tree head of a CT log', () => {
  const key = generateKey('p256');
  const signer = createTreeHeadSigner('log.example/ct', key, clock);
  const root = new Uint8Array(32).fill(1);

  test('is read back by its own key', () => {
    expect(signer.open({ treeSize: 5n, checkpoint: signer.sign(5n, root) })).toEqual(root);
  });

  test('is refused under another size, key or signature', () => {
    const checkpoint = signer.sign(5n, root);
    expect(() => signer.open({ treeSize: 6n, checkpoint })).toThrow('not one that its key signed');
    const other = createTreeHeadSigner('log.example/ct', generateKey('p256'), clock);
    expect(() => other.open({ treeSize: 5n, checkpoint })).toThrow('not one that its key signed');
    const changed = checkpoint.replace('\n5\n', '\n6\n');
    expect(() => signer.open({ treeSize: 6n, checkpoint: changed })).toThrow('not one that its key signed');
  });
});
