import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { createNoteSigner, createTreeHeadSigner } from './checkpoint-signer.ts';
import { ctIdentityOfLeaf } from './ct-entry.ts';
import { checkTree } from './fsck.ts';
import { openLog } from './log.ts';
import { openSqliteReadStore, openSqliteStore } from './sqlite-store.ts';

const keys = { v2: generateKey('ed25519'), ct: generateKey('p256') };
const clock = () => new Date('2026-03-01T12:00:00Z');
const ENTRIES = 700;

let directory: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hallmark-fsck-'));
  const store = openSqliteStore(directory);
  const v2 = await openLog({
    store,
    tree: 'v2',
    signer: createNoteSigner('log.example', 'log.example', keys.v2),
    clock,
    identity: 'leaf-hash',
  });
  const ct = await openLog({
    store,
    tree: 'ct',
    signer: createTreeHeadSigner('log.example/ct', keys.ct, clock),
    clock,
    identity: 'submitted',
  });
  const body = (n: number) => serializeUtf8(`....12345678 entry ${n}`);
  await Promise.all(
    Array.from({ length: ENTRIES }, (_, n) => [
      v2.append({ body: body(n) }),
      ct.append({ body: body(n), identity: ctIdentityOfLeaf(body(n)) }),
    ]).flat(),
  );
  await v2.close();
  await ct.close();
  await store.close();
});
afterEach(() => rmSync(directory, { recursive: true }));

async function findings(tree: 'v2' | 'ct', ...statements: string[]): Promise<string> {
  const database = new Database(join(directory, 'log.db'));
  for (const statement of statements) database.run(statement);
  database.close();
  const store = openSqliteReadStore(directory);
  const publicKeys = Object.values(keys).map((key) => key.publicKey);
  const report = await checkTree({ store, tree, keys: publicKeys, onProgress: () => {} });
  store.close();
  return report.findings.join('\n');
}

test('a sound data directory has no findings, and the root is told', async () => {
  expect(await findings('v2')).toBe('');
  expect(await findings('ct')).toBe('');
  const store = openSqliteReadStore(directory);
  expect(store.trees).toEqual(['ct', 'v2']);
  const progress: bigint[] = [];
  const onProgress = (done: bigint) => void progress.push(done);
  const report = await checkTree({ store, tree: 'v2', keys: [keys.v2.publicKey], onProgress });
  const [, , root = ''] = (await store.head('v2'))?.checkpoint.split('\n') ?? [];
  expect(report).toMatchObject({ origin: 'log.example', treeSize: BigInt(ENTRIES) });
  expect(report.rootHash).toBe(serializeHex(Buffer.from(root, 'base64')));
  expect(progress.at(-1)).toBe(BigInt(ENTRIES));
  store.close();
});

describe('a finding is', () => {
  test('an entry that was changed, below the edge that a start verifies', async () => {
    const found = await findings('v2', "UPDATE v2_leaf SET body = x'00' WHERE leaf = 5");
    expect(found).toContain('tile 0/0 does not hold the hashes of the entries');
    expect(found).toContain('the entries do not give the root of the checkpoint');
  });

  test('an entry that is missing', async () => {
    expect(await findings('v2', 'DELETE FROM v2_leaf WHERE leaf = 5')).toContain(
      'entries from 0 to 700 are incomplete',
    );
    expect(await findings('v2', 'DELETE FROM v2_leaf WHERE leaf = 699')).toContain(
      'entry 699, the last one, is missing',
    );
  });

  test('a tile that was changed or is missing, though the entries are right', async () => {
    expect(await findings('v2', 'UPDATE v2_tile SET hashes = zeroblob(8192) WHERE tile = 1')).toBe(
      'tile 0/1 does not hold the hashes of the entries',
    );
    expect(await findings('v2', 'DELETE FROM v2_tile WHERE tile = 1')).toBe('tile 0/1 is missing');
  });

  test('a tile that is stored before it is full', async () => {
    expect(await findings('v2', 'INSERT INTO v2_tile VALUES (2, zeroblob(8192))')).toBe(
      'tile 0/2 is stored and not full at size 700',
    );
  });

  test('an entry beyond the checkpoint', async () => {
    expect(await findings('v2', "INSERT INTO v2_leaf VALUES (700, x'00', 0, NULL)")).toBe(
      'there are entries beyond the checkpoint of size 700',
    );
  });

  test('an entry that is there twice', async () => {
    expect(
      await findings('v2', 'UPDATE v2_leaf SET body = (SELECT body FROM v2_leaf WHERE leaf = 1) WHERE leaf = 2'),
    ).toContain('an entry is in the tree twice');
  });

  test('an identity that is not the one of its entry', async () => {
    expect(await findings('ct', 'UPDATE ct_identity SET identity = zeroblob(32) WHERE leaf = 300')).toBe(
      'the identity of entry 300 is not that of its bytes',
    );
    expect(await findings('ct', 'DELETE FROM ct_identity WHERE leaf = 699')).toContain('the identity of entry 699');
  });

  test('a checkpoint of another key, of another size, or none', async () => {
    const store = openSqliteReadStore(directory);
    const report = await checkTree({ store, tree: 'v2', keys: [keys.ct.publicKey], onProgress: () => {} });
    store.close();
    expect(report.findings).toEqual(['the checkpoint is not signed by a key of the data directory']);
    expect(await findings('v2', 'UPDATE v2_head SET size = 699')).toContain('the checkpoint is of size 700');
    expect(await findings('v2', "UPDATE v2_head SET checkpoint = 'hello'")).toContain('the checkpoint cannot be read');
    expect(await findings('v2', 'DELETE FROM v2_head')).toBe('there is no checkpoint');
  });

  test('told no more than a hundred times', async () => {
    const found = await findings('ct', 'UPDATE ct_identity SET identity = zeroblob(32)');
    expect(found.split('\n')).toHaveLength(100);
  });
});
