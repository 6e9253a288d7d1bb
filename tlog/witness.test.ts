import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey, sign } from '../core/crypto/private-key.ts';
import { MAX_ADD_CHECKPOINT_BYTES } from '../core/limits.ts';
import { parseCheckpoint } from '../core/merkle/checkpoint.ts';
import { verifyCosignature } from '../core/merkle/cosignature.ts';
import { isNoteSignedBy, parseNote, serializeNote } from '../core/merkle/note.ts';
import { vkeyOf } from '../core/merkle/vkey.ts';
import { errorOf, rejectionOf } from '../core/testing.ts';
import { parseAddCheckpoint, parseKnownSize, serializeAddCheckpoint } from './add-checkpoint.ts';
import { createMemoryWitnessStore, createToyLog } from './testing-witness.ts';
import { openWitness, type WitnessEvent, watchedLogs } from './witness.ts';

// Hundreds of requests, each signed and verified: seconds where the machine is busy.
setDefaultTimeout(60_000);

const key = generateKey('ed25519');
const START = new Date('2026-03-01T12:00:00.700Z');

async function open(
  options: { log?: ReturnType<typeof createToyLog>; memory?: ReturnType<typeof createMemoryWitnessStore> } = {},
) {
  const log = options.log ?? createToyLog('log.example');
  const memory = options.memory ?? createMemoryWitnessStore();
  const events: WitnessEvent[] = [];
  let now = START;
  const witness = await openWitness({
    name: 'witness.example/w1',
    key,
    logs: watchedLogs([{ origin: undefined, key: log.vkey }]),
    store: memory.store,
    clock: () => now,
    onEvent: (event) => events.push(event),
  });
  const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const request = new Request(`http://witness.example${path}`, init);
    const answer = witness.handle(request, new URL(request.url), { address: '127.0.0.1', loopback: true });
    if (answer === undefined) throw new Error(`no route for ${path}`);
    return answer;
  };
  const post = (body: string | Uint8Array<ArrayBuffer>) => ask('/add-checkpoint', { method: 'POST', body });
  return {
    log,
    memory,
    events,
    vkey: witness.vkey,
    ask,
    post,
    setTime: (time: Date) => {
      now = time;
    },
    /** What a log sends to move the witness from one size to another. */
    add: (from: bigint, to: bigint, checkpoint = log.checkpoint(to)) =>
      post(serializeAddCheckpoint({ oldSize: from, proof: log.proof(from, to), checkpoint })),
  };
}

async function expectConflict(answer: Response, size: string): Promise<void> {
  expect(answer.status).toBe(409);
  expect(answer.headers.get('content-type')).toBe('text/x.tlog.size');
  expect(await answer.text()).toBe(`${size}\n`);
}

describe('the request of C2SP tlog-witness', () => {
  const EXAMPLE = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
`;
  test('is read and written as the specification shows it', () => {
    const request = parseAddCheckpoint(EXAMPLE);
    expect(request.oldSize).toBe(20852014n);
    expect(request.proof).toHaveLength(4);
    expect(parseCheckpoint(request.checkpoint).treeSize).toBe(20852163n);
    expect(serializeAddCheckpoint(request)).toBe(EXAMPLE);
  });
  test('without a proof', () => {
    const request = { oldSize: 0n, proof: [], checkpoint: 'x' };
    expect(parseAddCheckpoint(serializeAddCheckpoint(request))).toEqual(request);
  });
  test('the size of a conflict is a decimal line', () => {
    expect(parseKnownSize('20852163\n')).toBe(20852163n);
    for (const text of ['', '1', '01\n', '-1\n', '1\n\n', ' 1\n', '1\r\n', '9223372036854775808\n', 'one\n'])
      expect(errorOf(() => parseKnownSize(text)).code).toBe('ENCODING_INVALID');
  });
});

describe('a witness cosigns', () => {
  test('the first checkpoint of a log, and says when', async () => {
    const { add, vkey, log } = await open();
    const answer = await add(0n, 5n);
    expect(answer.status).toBe(200);
    const note = parseNote(log.checkpoint(5n) + (await answer.text()));
    expect(verifyCosignature(note, vkey)?.time.toISOString()).toBe('2026-03-01T12:00:00.000Z');
    expect(isNoteSignedBy(note, log.vkey)).toBe(true);
  });
  test('the empty tree', async () => {
    const { add } = await open();
    expect((await add(0n, 0n)).status).toBe(200);
    expect((await add(0n, 3n)).status).toBe(200);
  });
  test('every growth, by every pair of sizes', async () => {
    for (let from = 0n; from <= 20n; from += 1n)
      for (let to = from; to <= 20n; to += 3n) {
        const { add } = await open();
        if (from > 0n) expect((await add(0n, from)).status).toBe(200);
        expect((await add(from, to)).status).toBe(200);
      }
  });
  test('the same checkpoint again, with the time of now', async () => {
    const { add, setTime, vkey, log } = await open();
    await add(0n, 5n);
    setTime(new Date(START.getTime() + 60_000));
    const note = parseNote(log.checkpoint(5n) + (await (await add(5n, 5n)).text()));
    expect(verifyCosignature(note, vkey)?.time.toISOString()).toBe('2026-03-01T12:01:00.000Z');
  });
  test('never with an earlier time than before, whatever the clock says', async () => {
    const { add, setTime, vkey, log } = await open();
    await add(0n, 5n);
    setTime(new Date(START.getTime() - 3_600_000));
    const note = parseNote(log.checkpoint(6n) + (await (await add(5n, 6n)).text()));
    expect(verifyCosignature(note, vkey)?.time.toISOString()).toBe('2026-03-01T12:00:00.000Z');
  });
  test('the whole text, extension lines included', async () => {
    const { post, vkey, log } = await open();
    const text = `${parseCheckpoint(log.checkpoint(2n)).note.text}an extension\n`;
    const { name, keyId } = log.vkey;
    const signature = sign(log.key, serializeUtf8(text));
    const checkpoint = serializeNote({ text, signatures: [{ name, keyId, signature }] });
    const answer = await post(serializeAddCheckpoint({ oldSize: 0n, proof: [], checkpoint }));
    expect(answer.status).toBe(200);
    expect(verifyCosignature(parseNote(checkpoint + (await answer.text())), vkey)).toBeDefined();
  });
  test('a checkpoint that strangers signed too; their lines are not kept', async () => {
    const { post, log, ask } = await open();
    const checkpoint = `${log.checkpoint(4n)}— stranger.example ${Buffer.alloc(72).toString('base64')}\n`;
    expect((await post(serializeAddCheckpoint({ oldSize: 0n, proof: [], checkpoint }))).status).toBe(200);
    const hash = serializeHex(sha256(serializeUtf8('log.example')));
    expect(await (await ask(`/${hash}/checkpoint`)).text()).not.toContain('stranger');
  });
  test('logs whose origin is not the name of their key', async () => {
    const { vkey } = createToyLog('host.example');
    const [log] = watchedLogs([
      { origin: 'host.example/shard', key: vkey },
      { origin: 'host.example/shard', key: createToyLog('host.example').vkey },
    ]);
    expect(log?.origin).toBe('host.example/shard');
    expect(log?.keys).toHaveLength(2);
  });
});

describe('a witness refuses', () => {
  test('404: a log that it does not know', async () => {
    const { post } = await open();
    const checkpoint = createToyLog('other.example').checkpoint(1n);
    expect((await post(serializeAddCheckpoint({ oldSize: 0n, proof: [], checkpoint }))).status).toBe(404);
  });
  test('403: a checkpoint signed by another key of the same name', async () => {
    const { add } = await open();
    expect((await add(0n, 5n, createToyLog('log.example').checkpoint(5n))).status).toBe(403);
  });
  test('403: a signature of the known key that does not verify, even beside a good one', async () => {
    const { add, log } = await open();
    const bad = log.checkpoint(5n, undefined, generateKey('ed25519'));
    expect((await add(0n, 5n, bad)).status).toBe(403);
    expect((await add(0n, 5n, log.checkpoint(5n) + bad.slice(bad.indexOf('— ')))).status).toBe(403);
  });
  test('403: the signature of another checkpoint', async () => {
    const { add, log } = await open();
    const moved = log.checkpoint(5n).replace('\n5\n', '\n6\n');
    expect((await add(0n, 6n, moved)).status).toBe(403);
  });
  test('409: an old size that is not what it cosigned last, with the right one', async () => {
    const { add } = await open();
    await expectConflict(await add(3n, 5n), '0');
    await add(0n, 5n);
    await expectConflict(await add(0n, 9n), '5');
    await expectConflict(await add(4n, 9n), '5');
    await expectConflict(await add(6n, 9n), '5');
  });
  test('409: a rollback', async () => {
    const { add } = await open();
    await add(0n, 9n);
    await expectConflict(await add(0n, 5n), '9');
    await expectConflict(await add(5n, 5n), '9');
  });
  test('400: an old size above the checkpoint’s', async () => {
    const { post, log, add } = await open();
    await add(0n, 9n);
    expect(
      (await post(serializeAddCheckpoint({ oldSize: 9n, proof: [], checkpoint: log.checkpoint(5n) }))).status,
    ).toBe(400);
  });
  test('422: a wrong proof, one too short, one too long, and none', async () => {
    const { post, log, add } = await open();
    await add(0n, 5n);
    const checkpoint = log.checkpoint(9n);
    const proof = log.proof(5n, 9n);
    for (const wrong of [[], proof.slice(1), [...proof, new Uint8Array(32)], proof.with(0, new Uint8Array(32))])
      expect((await post(serializeAddCheckpoint({ oldSize: 5n, proof: wrong, checkpoint }))).status).toBe(422);
    expect((await post(serializeAddCheckpoint({ oldSize: 5n, proof, checkpoint }))).status).toBe(200);
  });
  test('422: a proof where the old size is zero', async () => {
    const { post, log } = await open();
    const checkpoint = log.checkpoint(5n);
    expect((await post(serializeAddCheckpoint({ oldSize: 0n, proof: [new Uint8Array(32)], checkpoint }))).status).toBe(
      422,
    );
  });
  test('422: an empty tree with the root of another', async () => {
    const { add, log } = await open();
    expect((await add(0n, 0n, log.checkpoint(0n, new Uint8Array(32)))).status).toBe(422);
  });
  test('409: a fork at the same size, which it tells with both checkpoints', async () => {
    const { add, log, events, post } = await open();
    await add(0n, 5n);
    const forked = log.checkpoint(5n, new Uint8Array(32).fill(7));
    const refused = await post(serializeAddCheckpoint({ oldSize: 5n, proof: [], checkpoint: forked }));
    expect([refused.status, await refused.text()]).toEqual([409, '5\n']);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ kind: 'fork', origin: 'log.example', shown: forked });
  });
  test('422: a fork that is larger, with a proof that is right for the fork', async () => {
    const { add, post, log } = await open();
    await add(0n, 5n);
    const other = createToyLog('log.example', 'branch ');
    const checkpoint = log.checkpoint(9n, parseCheckpoint(other.checkpoint(9n)).rootHash);
    const request = { oldSize: 5n, proof: other.proof(5n, 9n), checkpoint };
    expect((await post(serializeAddCheckpoint(request))).status).toBe(422);
  });

  const good = createToyLog('log.example');
  for (const [flaw, body] of [
    ['an empty body', ''],
    ['no old line', good.checkpoint(1n)],
    ['an old line without number', `old \n\n${good.checkpoint(1n)}`],
    ['an old size with a leading zero', `old 00\n\n${good.checkpoint(1n)}`],
    ['an old size with a sign', `old -1\n\n${good.checkpoint(1n)}`],
    ['an old size beyond 2^63 - 1', `old 9223372036854775808\n\n${good.checkpoint(1n)}`],
    ['two spaces in the old line', `old  0\n\n${good.checkpoint(1n)}`],
    ['old in capitals', `OLD 0\n\n${good.checkpoint(1n)}`],
    ['no blank line', `old 0\n${good.checkpoint(1n)}`],
    ['carriage returns', `old 0\r\n\r\n${good.checkpoint(1n)}`],
    ['a hash of 31 bytes', `old 1\n${Buffer.alloc(31).toString('base64')}\n\n${good.checkpoint(2n)}`],
    ['a hash in hexadecimal', `old 1\n${'ab'.repeat(32)}\n\n${good.checkpoint(2n)}`],
    ['64 hashes', `old 1\n${`${Buffer.alloc(32).toString('base64')}\n`.repeat(64)}\n${good.checkpoint(2n)}`],
    ['no checkpoint', 'old 0\n\n'],
    ['a checkpoint cut short', `old 0\n\n${good.checkpoint(1n).slice(0, -1)}`],
    ['a checkpoint without signature', `old 0\n\n${good.checkpoint(1n).replace(/— .*\n$/, '')}`],
  ] as const) {
    test(`400: ${flaw}`, async () => expect((await (await open({ log: good })).post(body)).status).toBe(400));
  }
  test('400: bytes that are no text', async () =>
    expect((await (await open()).post(new Uint8Array([0xff, 0xfe, 0x0a, 0x0a]))).status).toBe(400));
  test('413: a body beyond the bound', async () => {
    const { post } = await open();
    expect((await post(`old 0\n\n${'x'.repeat(MAX_ADD_CHECKPOINT_BYTES)}`)).status).toBe(413);
  });
  test('405: another method', async () => expect((await (await open()).ask('/add-checkpoint')).status).toBe(405));
  test('a key of a witness as that of a log', () =>
    expect(errorOf(() => watchedLogs([{ origin: undefined, key: vkeyOf('w', 'witness', key.publicKey) }])).code).toBe(
      'CONFIG_INVALID',
    ));
});

/** Numbers that are the same at every run. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * below);
  };
}

describe('whatever it is sent', () => {
  test('of a log with two branches only one is ever cosigned beyond the fork, and sizes never go back', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = generator(seed);
      const forkedAt = BigInt(random(6));
      const main = createToyLog('log.example');
      const branches = [main, createToyLog('log.example', 'other ', forkedAt, main.key)] as const;
      const { post } = await open({ log: main });
      const cosigned: { branch: number; size: bigint }[] = [];
      let last = 0n;
      for (let i = 0; i < 120; i++) {
        const branch = random(2);
        const log = branches[branch] as typeof main;
        // Mostly what the witness expects, so that much of it gets far.
        const oldSize = random(4) === 0 ? BigInt(random(20)) : last;
        const size = oldSize + BigInt(random(4));
        const proof = random(5) === 0 ? [] : log.proof(oldSize, size);
        const answer = await post(serializeAddCheckpoint({ oldSize, proof, checkpoint: log.checkpoint(size) }));
        expect([200, 409, 422]).toContain(answer.status);
        if (answer.status !== 200) continue;
        expect(size).toBeGreaterThanOrEqual(last);
        last = size;
        cosigned.push({ branch, size });
      }
      const beyond = new Set(cosigned.filter(({ size }) => size > forkedAt).map(({ branch }) => branch));
      expect(beyond.size).toBe(1);
      expect(last).toBeGreaterThan(forkedAt);
    }
  });
  test('changed requests are refused as what they are, never with a fault', async () => {
    const random = generator(7);
    const { post, log, add, events } = await open();
    await add(0n, 5n);
    const good = Buffer.from(
      serializeAddCheckpoint({ oldSize: 5n, proof: log.proof(5n, 9n), checkpoint: log.checkpoint(9n) }),
    );
    for (let i = 0; i < 800; i++) {
      const bytes = Uint8Array.from(good);
      for (let n = random(3); n >= 0; n--) bytes[random(bytes.length)] = random(256);
      const body = random(4) === 0 ? bytes.slice(0, random(bytes.length)) : bytes;
      if (good.equals(body)) continue;
      expect([400, 403, 404, 409, 422]).toContain((await post(body)).status);
    }
    expect(events).toEqual([]);
    expect((await post(Uint8Array.from(good))).status).toBe(200);
  });
});

describe('races, crashes and faults', () => {
  test('of many requests at once from one size to different ones, exactly one is cosigned', async () => {
    const { add, memory } = await open();
    await add(0n, 5n);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => add(5n, 6n + BigInt(i))));
    const cosigned = answers.flatMap((answer, i) => (answer.status === 200 ? [6 + i] : []));
    expect(cosigned).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
    expect(parseCheckpoint(memory.notes.get('log.example') as string).treeSize).toBe(BigInt(cosigned[0] as number));
  });
  test('a change that was lost is not cosigned', async () => {
    const { add, memory, events } = await open();
    memory.failNext('lost');
    expect((await add(0n, 5n)).status).toBe(500);
    expect(events[0]?.kind).toBe('fault');
    expect((await add(0n, 5n)).status).toBe(200);
  });
  test('a change that was made although it was reported as failed is found by the next request', async () => {
    const { add, memory, vkey, log } = await open();
    memory.failNext('persisted');
    expect((await add(0n, 5n)).status).toBe(500);
    await expectConflict(await add(0n, 9n), '5');
    const note = parseNote(log.checkpoint(9n) + (await (await add(5n, 9n)).text()));
    expect(verifyCosignature(note, vkey)).toBeDefined();
  });
  test('a restart goes on from where it was', async () => {
    const first = await open();
    await first.add(0n, 5n);
    const second = await open({ log: first.log, memory: createMemoryWitnessStore(first.memory.notes) });
    await expectConflict(await second.add(0n, 9n), '5');
    expect((await second.add(5n, 9n)).status).toBe(200);
  });
  test('what is stored under another key or for another log keeps it from starting', async () => {
    const first = await open();
    await first.add(0n, 5n);
    const good = first.memory.notes.get('log.example') as string;
    for (const note of [
      'garbage',
      first.log.checkpoint(5n),
      good.replace('\n5\n', '\n4\n'),
      good.replace('log.example\n', 'log.example2\n'),
    ]) {
      const memory = createMemoryWitnessStore(new Map([['log.example', note]]));
      expect((await rejectionOf(open({ log: first.log, memory }))).code).toBe('DATABASE_CORRUPT');
    }
  });
});

describe('monitors read', () => {
  const path = `/${serializeHex(sha256(serializeUtf8('log.example')))}/checkpoint`;
  test('nothing before the first', async () => expect((await (await open()).ask(path)).status).toBe(404));
  test('nothing of a log that is not watched', async () => {
    expect((await (await open()).ask(`/${'0'.repeat(64)}/checkpoint`)).status).toBe(404);
  });
  test('the newest checkpoint with both signatures', async () => {
    const { add, ask, log, vkey } = await open();
    await add(0n, 5n);
    await add(5n, 9n);
    const { note, treeSize } = parseCheckpoint(await (await ask(path)).text());
    expect(treeSize).toBe(9n);
    expect(isNoteSignedBy(note, log.vkey)).toBe(true);
    expect(verifyCosignature(note, vkey)).toBeDefined();
  });
});
