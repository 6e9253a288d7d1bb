import { beforeEach, describe, expect, test } from 'bun:test';
import type { Json } from '../core/bytes/json.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { NO_HISTORY, type RotatedLog, type ShardHistories, type ShardRecord } from '../core/instance/shard-history.ts';
import { parseCheckpoint } from '../core/merkle/checkpoint.ts';
import { isNoteSignedBy } from '../core/merkle/note.ts';
import { hashedRekordV1, hashedRekordV2, jsonOf, openTestLog, type TestLog, testShardKey } from './testing.ts';
import { createMemoryDisk, type MemoryDisk } from './testing-store.ts';
import type { PublishedLogs } from './transparency-log.ts';

interface LogInfo {
  treeSize: number;
  treeID: string;
  signedTreeHead: string;
  inactiveShards: { treeSize: number; treeID: string; signedTreeHead: string; rootHash: string }[];
}
type LogEntries = Record<
  string,
  {
    body: string;
    logIndex: number;
    logID: string;
    verification: { inclusionProof: { logIndex: number; treeSize: number } };
  }
>;

const key = generateKey('p256');
const FROZEN = 'This log has been frozen, please switch to the latest log.';
let disk: MemoryDisk;
let history: ShardHistories;
let now: Date;
beforeEach(() => {
  disk = createMemoryDisk();
  history = NO_HISTORY;
  now = new Date('2026-03-01T12:00:00.500Z');
});

const open = (): Promise<TestLog> => openTestLog({ disk, history, clock: () => now });

/** What the composition root remembers, as server.ts does in the instance file. */
const steps = (log: RotatedLog, seen: PublishedLogs[] = []) => ({
  publish: (logs: PublishedLogs) => void seen.push(logs),
  commit: (record: ShardRecord) => {
    history = { ...history, [log]: { records: [...history[log].records, record], frozen: false } };
  },
});
const rotate = (log: TestLog, name: RotatedLog, url?: string): Promise<void> => log.rotate(name, url, steps(name));

const post1 = (log: TestLog, text: string): Promise<Response> =>
  log.post('/api/v1/log/entries', hashedRekordV1(text, key));
const post2 = (log: TestLog, text: string, at = ''): Promise<Response> =>
  log.post(`${at}/api/v2/log/entries`, hashedRekordV2(text, key));
const entryOf = async (response: Response) => {
  const [id = '', entry] = Object.entries(await jsonOf<LogEntries>(response))[0] ?? [];
  if (!entry) throw new Error('no entry');
  return { id, ...entry };
};
const info = async (log: TestLog): Promise<LogInfo> => jsonOf<LogInfo>(await log.get('/api/v1/log'));

describe('a rotated v1 log', () => {
  test('counts on over its shards, and each proof counts in its own', async () => {
    const log = await open();
    for (const text of ['a', 'b']) await post1(log, text);
    await rotate(log, 'v1');
    const response = await post1(log, 'c');
    expect(response.status).toBe(201);
    const added = await entryOf(response);
    // Each shard begins with an entry of its own.
    expect([added.logIndex, added.verification.inclusionProof.logIndex]).toEqual([4, 1]);
    for (let index = 0; index < 5; index++) {
      const entry = await entryOf(await log.get(`/api/v1/log/entries?logIndex=${index}`));
      expect(entry.logIndex).toBe(index);
      expect(entry.verification.inclusionProof.logIndex).toBe(index < 3 ? index : index - 3);
    }
    expect((await log.get('/api/v1/log/entries?logIndex=5')).status).toBe(404);
  });

  test('lists the frozen shard, whose head stands still', async () => {
    const log = await open();
    await post1(log, 'a');
    const before = await info(log);
    await rotate(log, 'v1');
    await post1(log, 'b');
    const after = await info(log);
    expect(after.treeID).not.toBe(before.treeID);
    const { inactiveShards, ...head } = before;
    expect(inactiveShards).toEqual([]);
    expect(after.inactiveShards).toEqual([head as never]);
  });

  test('is read by ID in any shard, with and without the tree', async () => {
    const log = await open();
    const old = await entryOf(await post1(log, 'a'));
    await rotate(log, 'v1');
    const added = await entryOf(await post1(log, 'b'));
    for (const { id, logIndex } of [old, added]) {
      for (const name of [id, id.slice(16)]) {
        const found = await entryOf(await log.get(`/api/v1/log/entries/${name}`));
        expect([found.id, found.logIndex]).toEqual([id, logIndex]);
      }
      const retrieved = await log.post('/api/v1/log/entries/retrieve', { entryUUIDs: [id], logIndexes: [logIndex] });
      expect((await jsonOf<object[]>(retrieved)).map((entry) => Object.keys(entry)[0])).toEqual([id, id]);
    }
    // An ID of one tree is not found in another.
    const [a = '', b = ''] = [old.id, added.id];
    expect((await log.get(`/api/v1/log/entries/${b.slice(0, 16)}${a.slice(16)}`)).status).toBe(404);
  });

  test('gives the keys and proofs of every tree, and of none that it does not have', async () => {
    const log = await open();
    await post1(log, 'a');
    const first = await info(log);
    await rotate(log, 'v1');
    const { treeID } = await info(log);
    const keyOf = async (tree: string) => (await log.get(`/api/v1/log/publicKey?treeID=${tree}`)).text();
    expect(await keyOf(first.treeID)).not.toBe(await keyOf(treeID));
    expect(await keyOf('')).toBe(await keyOf(treeID));
    expect((await log.get('/api/v1/log/publicKey?treeID=1')).status).toBe(400);
    const proof = await log.get(`/api/v1/log/proof?firstSize=1&lastSize=2&treeID=${first.treeID}`);
    expect((await jsonOf<{ hashes: string[] }>(proof)).hashes).toHaveLength(1);
    expect((await log.get('/api/v1/log/proof?firstSize=1&lastSize=2')).status).toBe(400);
  });

  test('is searched over all shards', async () => {
    const log = await open();
    const old = await entryOf(await post1(log, 'a'));
    await rotate(log, 'v1');
    const again = await entryOf(await post1(log, 'a'));
    const [proposal] = [hashedRekordV1('a', key) as { spec: { data: { hash: { value: string } } } }];
    const found = await log.post('/api/v1/index/retrieve', { hash: `sha256:${proposal.spec.data.hash.value}` });
    expect(await jsonOf<string[]>(found)).toEqual([old.id, again.id]);
    await post2(log, 'a');
    await rotate(log, 'v2');
    await post2(log, 'a', '/shard/2');
    const page = await log.get(`/api/search?digest=sha256:${proposal.spec.data.hash.value}`);
    const { entries } = await jsonOf<{ entries: { log: string; shard?: number; logIndex: number }[] }>(page);
    expect(entries.map(({ log, shard, logIndex }) => `${log} ${shard ?? 1} ${logIndex}`).toSorted()).toEqual([
      `v1 1 ${old.logIndex}`,
      `v1 2 ${again.logIndex}`,
      'v2 1 0',
      'v2 2 0',
    ]);
  });

  test('tells a duplicate of the active shard only, and finds the newest first', async () => {
    const log = await open();
    const proposal = hashedRekordV1('a', key);
    const ask = (body: Json) => log.post('/api/v1/log/entries', body);
    const old = await entryOf(await ask(proposal));
    await rotate(log, 'v1');
    const again = await entryOf(await ask(proposal));
    expect(again.id).not.toBe(old.id);
    expect((await ask(proposal)).status).toBe(409);
    expect((await entryOf(await log.get(`/api/v1/log/entries/${old.id.slice(16)}`))).id).toBe(again.id);
  });
});

describe('a rotated v2 log', () => {
  test('goes on at a URL of its own; the old one answers 405 and stays readable', async () => {
    const log = await open();
    await post2(log, 'a');
    const checkpoint = await (await log.get('/api/v2/checkpoint')).text();
    const tile = await (await log.get('/tile/entries/000.p/1')).arrayBuffer();
    await rotate(log, 'v2');
    const refused = await post2(log, 'b');
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET']);
    expect(await jsonOf<object>(refused)).toEqual({ code: 12, message: FROZEN, details: [] });
    const added = await post2(log, 'b', '/shard/2');
    expect(added.status).toBe(201);
    const entry = await jsonOf<{ logIndex: string; inclusionProof: { checkpoint: { envelope: string } } }>(added);
    expect(entry.logIndex).toBe('0');
    expect(await (await log.get('/api/v2/checkpoint')).text()).toBe(checkpoint);
    expect(await (await log.get('/tile/entries/000.p/1')).arrayBuffer()).toEqual(tile);
    for (const prefix of ['/shard/2', '/shard/2/api/v2']) {
      expect(await (await log.get(`${prefix}/checkpoint`)).text()).toBe(entry.inclusionProof.checkpoint.envelope);
      expect((await log.get(`${prefix}/tile/entries/000.p/1`)).status).toBe(200);
      expect((await log.get(`${prefix}/tile/entries/000.p/2`)).status).toBe(404);
    }
  });

  test('signs with the new key alone, under its host', async () => {
    const log = await open();
    await rotate(log, 'v2', 'https://log2.example');
    const { note, origin } = parseCheckpoint(await (await log.ask('https://log2.example/checkpoint')).text());
    expect(origin).toBe('log2.example');
    const published = log.published().v2;
    expect(published.map(({ baseUrl }) => baseUrl)).toEqual(['http://log.example:8080', 'https://log2.example']);
    const [line] = note.signatures;
    const publicKey = testShardKey('v2', 2).publicKey;
    expect(isNoteSignedBy(note, { name: 'log2.example', keyId: line?.keyId ?? new Uint8Array(), publicKey })).toBe(
      true,
    );
    expect(published[1]?.logId.subarray(0, 4)).toEqual(line?.keyId as never);
  });
});

describe('a rotation', () => {
  for (const name of ['v1', 'v2'] as const) {
    test(`of ${name} is remembered: every shard is there after a start, and the last one grows`, async () => {
      let log = await open();
      const post = (text: string, at: string): Promise<Response> =>
        name === 'v1' ? post1(log, text) : post2(log, text, at);
      await post('a', '');
      await rotate(log, name);
      await post('b', '/shard/2');
      await rotate(log, name);
      await post('c', '/shard/3');
      const shards = log.describe();
      await log.close();
      log = await open();
      expect(log.describe()).toEqual(shards);
      expect((await post('d', '/shard/3')).status).toBe(201);
      await log.close();
    });
  }

  test('publishes the new key before anything is signed with it', async () => {
    const log = await open();
    const seen: PublishedLogs[] = [];
    await log.rotate('v1', undefined, {
      publish: (logs) => {
        seen.push(logs);
        expect(log.published().v1).toHaveLength(1);
      },
      commit: steps('v1').commit,
    });
    expect(seen[0]?.v1.map(({ since, until }) => [since, until])).toEqual([
      [undefined, now],
      [now, undefined],
    ]);
    expect(log.published()).toEqual(seen[0] as PublishedLogs);
  });

  test('loses no append that is under way, and none that comes meanwhile', async () => {
    const log = await open();
    const texts = Array.from({ length: 40 }, (_, i) => `entry ${i}`);
    const before = texts.slice(0, 20).map((text) => post1(log, text));
    const turning = rotate(log, 'v1');
    const meanwhile = texts.slice(20).map((text) => post1(log, text));
    await turning;
    const answers = await Promise.all([...before, ...meanwhile]);
    expect(answers.map(({ status }) => status)).toEqual(texts.map(() => 201));
    const indexes = await Promise.all(answers.map(async (answer) => (await entryOf(answer)).logIndex));
    expect(new Set(indexes).size).toBe(texts.length);
    const { treeSize, inactiveShards } = await info(log);
    expect(treeSize + (inactiveShards[0]?.treeSize ?? 0)).toBe(texts.length + 2);
  });

  test('a second one at the same time is refused or comes after, never a third shard of one key', async () => {
    const log = await open();
    const outcomes = await Promise.allSettled([rotate(log, 'v2'), rotate(log, 'v2')]);
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
    const numbers = log.published().v2.map(({ logId }) => Buffer.from(logId).toString('hex'));
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(history.v2.records).toHaveLength(numbers.length - 1);
  });

  test('of a log that does not run here is refused', async () => {
    const log = await openTestLog({ disk, keys: { v1: undefined } });
    await expect(rotate(log, 'v1')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('a rotation that fails', () => {
  /** After it: one shard takes entries, no two heads of one size differ, and a second try succeeds. */
  async function expectWhole(name: RotatedLog): Promise<void> {
    const log = await open();
    const size = log.published()[name].length;
    expect(history[name].records).toHaveLength(size - 1);
    const at = name === 'v2' && size > 1 ? `/shard/${size}` : '';
    expect((name === 'v1' ? await post1(log, 'after') : await post2(log, 'after', at)).status).toBe(201);
    await rotate(log, name);
    expect(log.published()[name]).toHaveLength(size + 1);
    await log.close();
    const seen = new Map<string, string>();
    for (const { tree, head } of disk.history) {
      const known = seen.get(`${tree} ${head.treeSize}`) ?? head.checkpoint.split('\n')[2];
      expect(head.checkpoint.split('\n')[2]).toBe(known as string);
      seen.set(`${tree} ${head.treeSize}`, known as string);
    }
  }

  for (const name of ['v1', 'v2'] as const) {
    for (const fault of ['lost', 'persisted'] as const) {
      for (const method of ['once', 'head', 'commit', 'leaves'] as const) {
        for (const nth of [1, 2]) {
          test(`${name}: ${method} ${nth} ${fault}, then the same process tries again`, async () => {
            const log = await open();
            await (name === 'v1' ? post1(log, 'a') : post2(log, 'a'));
            log.store.failCall(method, nth, fault);
            await rotate(log, name).catch(() => {});
            const done = log.published()[name].length;
            const at = name === 'v2' && done > 1 ? `/shard/${done}` : '';
            await (name === 'v1' ? post1(log, 'b') : post2(log, 'b', at));
            await rotate(log, name).catch(() => {});
            await log.close();
            await expectWhole(name);
          });

          test(`${name}: ${method} ${nth} ${fault}, then a start`, async () => {
            const log = await open();
            await (name === 'v1' ? post1(log, 'a') : post2(log, 'a'));
            log.store.failCall(method, nth, fault);
            await rotate(log, name).catch(() => {});
            // As after a crash: nothing is closed.
            await expectWhole(name);
          });
        }
      }
    }

    test(`${name}: its trust cannot be published: the old shard goes on`, async () => {
      const log = await open();
      const failing = {
        ...steps(name),
        publish: () => {
          throw new Error('disk full');
        },
      };
      await expect(log.rotate(name, undefined, failing)).rejects.toThrow('disk full');
      expect((name === 'v1' ? await post1(log, 'a') : await post2(log, 'a')).status).toBe(201);
      await log.close();
      await expectWhole(name);
    });

    for (const [outcome, remembers] of [
      ['lost', false],
      ['durable though reported failed', true],
    ] as const) {
      test(`${name}: its record is ${outcome}: no shard takes an entry until a start tells which is true`, async () => {
        const log = await open();
        const failing = {
          ...steps(name),
          commit: (record: ShardRecord) => {
            if (remembers) steps(name).commit(record);
            throw new Error('disk full');
          },
        };
        await expect(log.rotate(name, undefined, failing)).rejects.toThrow('disk full');
        for (const at of ['', '/shard/2']) {
          const answer = name === 'v1' ? await post1(log, 'a') : await post2(log, 'a', at).catch(() => undefined);
          expect(answer === undefined || answer.status === 503).toBe(true);
        }
        await log.close();
        await expectWhole(name);
      });
    }
  }

  for (const [name, at] of [
    ['v1', ''],
    ['v2', '/shard/2'],
  ] as const) {
    test(`${name}: a shard that was appended to and is not recorded is not passed over`, async () => {
      const log = await open();
      await rotate(log, name);
      expect((await (name === 'v1' ? post1(log, 'a') : post2(log, 'a', at))).status).toBe(201);
      await log.close();
      history = NO_HISTORY;
      await expect(open()).rejects.toMatchObject({
        code: 'INSTANCE_DAMAGED',
        message: expect.stringContaining(`does not know shard 2 of the log ${name}`),
      });
    });
  }

  test('a rotation that stopped goes on under its own host, and says so under another one, also after a start', async () => {
    let log = await open();
    const failing = {
      ...steps('v2'),
      publish: () => {
        throw new Error('disk full');
      },
    };
    await expect(log.rotate('v2', undefined, failing)).rejects.toThrow('disk full');
    for (let i = 0; i < 2; i++) {
      await expect(rotate(log, 'v2', 'http://b.example')).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        hint: expect.stringContaining('go on with it under the same host: hallmark log rotate --v2 --url https://'),
      });
      if (i > 0) break;
      await log.close();
      log = await open();
    }
    await rotate(log, 'v2');
    expect((await post2(log, 'a', '/shard/2')).status).toBe(201);
    await log.close();
  });

  test('a frozen shard that has another size than it was frozen with is not opened', async () => {
    const log = await open();
    await post1(log, 'a');
    await rotate(log, 'v1');
    await log.close();
    const [record] = history.v1.records;
    if (!record) throw new Error('no record');
    history = { ...history, v1: { records: [{ ...record, first: record.first - 1n }], frozen: false } };
    await expect(open()).rejects.toMatchObject({ code: 'LOG_FORKED' });
  });
});

describe('a frozen log', () => {
  test('answers 405 and stays readable, also after a start; a rotation lets it go on', async () => {
    let log = await open();
    const { id } = await entryOf(await post1(log, 'a'));
    await log.freeze('v1', () => {
      history = { ...history, v1: { ...history.v1, frozen: true } };
    });
    for (let i = 0; i < 2; i++) {
      const refused = await post1(log, 'b');
      expect([refused.status, (await jsonOf<{ message: string }>(refused)).message]).toEqual([405, FROZEN]);
      expect((await log.get(`/api/v1/log/entries/${id}`)).status).toBe(200);
      expect((await post2(log, `v2 ${i}`)).status).toBe(201);
      await log.close();
      log = await open();
    }
    await rotate(log, 'v1');
    expect((await post1(log, 'b')).status).toBe(201);
    await log.close();
  });
});
