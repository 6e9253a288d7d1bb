import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeBase64, serializeUtf8 } from '../core/bytes/bytes.ts';
import { generateKey, serializePrivateKey } from '../core/crypto/private-key.ts';
import { parseInstance, serializeInstance } from '../core/instance/instance.ts';
import { NO_HISTORY } from '../core/instance/shard-history.ts';
import { parseCheckpoint } from '../core/merkle/checkpoint.ts';
import { createNoteSigner, createTreeHeadSigner } from '../tlog/checkpoint-signer.ts';
import { openLog } from '../tlog/log.ts';
import { openSqliteStore } from '../tlog/sqlite-store.ts';
import { main } from './main.ts';
import { fakeCli } from './testing.ts';

const KEY = generateKey('ed25519');
const signer = createNoteSigner('log.example', 'log.example', KEY);
const INSTANCE = serializeInstance({
  publicUrl: 'http://log.example',
  createdAt: new Date('2026-03-01T12:00:00Z'),
  parts: ['log'],
  shards: NO_HISTORY,
});
let directory: string;
let data: string;
let backup: string;
/** Checkpoints of the log before, at and after the backup: of 3, 300 and 310 entries. */
let checkpoints: Record<'older' | 'same' | 'newer', string>;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hallmark-restore-'));
  data = join(directory, 'data');
  backup = join(directory, 'backup.db');
  mkdirSync(join(data, 'keys'), { recursive: true });
  writeFileSync(join(data, 'instance.json'), INSTANCE);
  writeFileSync(join(data, 'keys', 'rekor-v2.pem'), serializePrivateKey(KEY), { mode: 0o600 });
  const grow = async (from: number, to: number): Promise<string> => {
    const store = openSqliteStore(data);
    const log = await openLog({ store, tree: 'v2', signer, clock: () => new Date(), identity: 'leaf-hash' });
    for (let n = from; n < to; n += 50) {
      const count = Math.min(50, to - n);
      await Promise.all(Array.from({ length: count }, (_, i) => log.append({ body: serializeUtf8(`entry ${n + i}`) })));
    }
    const { checkpoint } = log.head();
    await log.close();
    await store.close();
    return checkpoint;
  };
  const older = await grow(0, 3);
  const same = await grow(3, 300);
  expect(await run('backup', backup, '--data', data)).toBe(0);
  checkpoints = { older, same, newer: await grow(300, 310) };
  for (const [name, text] of Object.entries(checkpoints)) writeFileSync(join(directory, name), text);
  mkdirSync(join(directory, 'lost'));
  for (const name of readdirSync(data).filter((each) => each.startsWith('log.db'))) {
    renameSync(join(data, name), join(directory, 'lost', name));
  }
});
afterEach(() => rmSync(directory, { recursive: true }));

let said = '';
async function run(...argv: string[]): Promise<number> {
  const cli = fakeCli({});
  const code = await main(['log', ...argv], cli);
  said = [cli.printed.out, ...cli.printed.err].join('\n');
  return code;
}
const restore = (...checkpointNames: string[]): Promise<number> =>
  run('restore', backup, '--data', data, ...checkpointNames.flatMap((name) => ['--checkpoint', join(directory, name)]));

describe('a backup is restored', () => {
  test.each(['older', 'same'])('if it holds the tree of the newest known checkpoint: %s', async (name) => {
    expect(await restore(name)).toBe(0);
    expect(await run('fsck', '--data', data)).toBe(0);
    expect(said).toContain('v2: ok, 300 entries');
  });
});

describe('a backup of several logs', () => {
  const ctKey = generateKey('p256');
  const clock = (): Date => new Date('2026-03-01T12:00:00Z');
  const signers = {
    v1: createNoteSigner('log.example - 7', 'log.example', KEY),
    ct: createTreeHeadSigner('log.example/ct', ctKey, clock),
  };
  const heads: Record<string, string> = {};

  beforeEach(async () => {
    writeFileSync(join(data, 'keys', 'ct.pem'), serializePrivateKey(ctKey), { mode: 0o600 });
    const store = openSqliteStore(directory, []);
    for (const tree of ['v1', 'ct', 'v2'] as const) {
      const itsSigner = tree === 'v2' ? signer : signers[tree];
      const log = await openLog({ store, tree, signer: itsSigner, clock, identity: 'leaf-hash' });
      // CT entries would need identities; an empty tree may have grown since as well.
      if (tree !== 'ct') await log.append({ body: serializeUtf8('entry') });
      heads[tree] = log.head().checkpoint;
      writeFileSync(join(directory, tree), log.head().checkpoint);
      await log.close();
    }
    await store.close();
    rmSync(backup);
    expect(await run('backup', backup, '--data', directory)).toBe(0);
  });

  test('needs a checkpoint of every log that can have grown', async () => {
    expect(await restore('v2')).toBe(2);
    expect(said).toContain('no checkpoint of ct, v1 was given');
    expect(await restore('v1', 'v2')).toBe(2);
    expect(said).toContain('no checkpoint of ct was given');
    expect(readdirSync(data).sort()).toEqual(['instance.json', 'keys']);
    expect(await restore('v1', 'v2', 'ct')).toBe(0);
  });

  test('needs none of a log that its operator forgets, and still keeps to those given', async () => {
    const other = signers.v1.sign(9n, new Uint8Array(32));
    writeFileSync(join(directory, 'newer-v1'), other);
    const paths = ['v2', 'newer-v1'].flatMap((name) => ['--checkpoint', join(directory, name)]);
    expect(await run('restore', backup, '--data', data, '--dangerously-forget-answers', ...paths)).toBe(6);
    expect(await run('restore', backup, '--data', data, '--dangerously-forget-answers', ...paths.slice(0, 2))).toBe(0);
  });

  test('takes the tree head of a CT log as its front end answers it, and no other', async () => {
    const note = parseCheckpoint(heads['ct'] as string);
    const signature = note.note.signatures[0]?.signature as Uint8Array;
    const answer = {
      tree_size: Number(note.treeSize),
      timestamp: clock().getTime(),
      sha256_root_hash: serializeBase64(note.rootHash),
      tree_head_signature: serializeBase64(signature.subarray(8)),
    };
    writeFileSync(join(directory, 'forged'), JSON.stringify({ ...answer, tree_size: 1 }));
    expect(await restore('v1', 'v2', 'forged')).toBe(3);
    expect(said).toContain('is not signed by a log of this data directory');
    writeFileSync(join(directory, 'sth'), JSON.stringify(answer));
    expect(await restore('v1', 'v2', 'sth')).toBe(0);
  });

  test('needs none of a shard that another one has followed', async () => {
    const since = clock();
    const v1 = { records: [{ since, first: 1n, url: 'http://log.example' }], frozen: false };
    const instance = parseInstance(INSTANCE, 'instance.json');
    writeFileSync(join(data, 'instance.json'), serializeInstance({ ...instance, shards: { ...NO_HISTORY, v1 } }));
    expect(await restore('v2')).toBe(2);
    expect(said).toContain('no checkpoint of ct was given');
  });
});

describe('a backup is refused, and nothing is written', () => {
  afterEach(() => expect(readdirSync(data).sort()).toEqual(['instance.json', 'keys']));

  test('if it is older than the newest known checkpoint', async () => {
    expect(await restore('same', 'newer')).toBe(6);
    expect(said).toContain('does not hold the tree of 310 entries');
  });

  test('if it is of another history', async () => {
    writeFileSync(join(directory, 'forked'), signer.sign(250n, new Uint8Array(32)));
    expect(await restore('forked')).toBe(6);
    expect(said).toContain('does not hold the tree of 250 entries');
  });

  test('if the checkpoint is of another log', async () => {
    const other = createNoteSigner('log.example', 'log.example', generateKey('ed25519'));
    writeFileSync(join(directory, 'other'), other.sign(3n, new Uint8Array(32)));
    expect(await restore('other')).toBe(3);
    expect(said).toContain('is not signed by a log of this data directory');
  });

  test('if nobody says how new it has to be', async () => {
    expect(await restore()).toBe(2);
    expect(said).toContain('would fork it');
  });

  test('if it is damaged', async () => {
    const { Database } = await import('bun:sqlite');
    const database = new Database(backup);
    database.run("UPDATE v2_leaf SET body = x'00' WHERE leaf = 1");
    database.close();
    expect(await restore('same')).toBe(6);
    expect(said).toContain('is damaged');
  });
});
