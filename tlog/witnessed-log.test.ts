import { describe, expect, test } from 'bun:test';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { MAX_WITNESS_ANSWER_BYTES } from '../core/limits.ts';
import { parseCheckpoint } from '../core/merkle/checkpoint.ts';
import { cosign, verifyCosignatures } from '../core/merkle/cosignature.ts';
import { isNoteSignedBy, serializeSignatureLines } from '../core/merkle/note.ts';
import { TILE_WIDTH } from '../core/merkle/tile.ts';
import { EMPTY_ROOT, verifyInclusion } from '../core/merkle/tree.ts';
import { vkeyOf } from '../core/merkle/vkey.ts';
import { rejectionOf } from '../core/testing.ts';
import { createNoteSigner } from './checkpoint-signer.ts';
import { type Log, openLog } from './log.ts';
import { createMemoryDisk, createMemoryStore, type MemoryDisk } from './testing-store.ts';
import { createTestWitnesses } from './testing-witness.ts';
import { createWitnessClient } from './witness-client.ts';
import { forgetPublished, openWitnessedLog, type PublishingEvent, type WitnessPolicy } from './witnessed-log.ts';

const NAMES = ['w1.example', 'w2.example', 'w3.example'];
const key = generateKey('ed25519');
const vkey = vkeyOf('log.example', 'log', key.publicKey);
const clock = () => new Date('2026-03-01T12:00:00Z');
const body = (i: number | string) => serializeUtf8(`entry ${i}`);

interface Setup {
  readonly disk?: MemoryDisk;
  readonly witnesses?: Awaited<ReturnType<typeof createTestWitnesses>>;
  readonly file?: { note: string | undefined };
  readonly policy?: Partial<WitnessPolicy>;
}

async function open(setup: Setup = {}) {
  const disk = setup.disk ?? createMemoryDisk();
  const store = createMemoryStore(disk);
  const signer = createNoteSigner('log.example', 'log.example', key);
  const log: Log = await openLog({
    store,
    tree: 'v2',
    signer,
    clock,
    identity: 'leaf-hash',
  });
  const witnesses = setup.witnesses ?? (await createTestWitnesses(NAMES, vkey, clock));
  const file = setup.file ?? { note: undefined };
  const history: string[] = [];
  const events: PublishingEvent[] = [];
  let failSave: 'lost' | 'persisted' | undefined;
  const policy: WitnessPolicy = {
    witnesses: witnesses.addresses,
    threshold: 2,
    fail: 'closed',
    intervalMs: 5,
    timeoutMs: 2_000,
    answerMs: 10_000,
    ...setup.policy,
  };
  const clients = policy.witnesses.map((witness) =>
    createWitnessClient({
      witness,
      timeoutMs: policy.timeoutMs,
      fetch: witnesses.fetch,
      prove: log.consistencyPath,
    }),
  );
  const witnessed = await openWitnessedLog({
    log,
    signer,
    policy,
    clients,
    head: {
      load: async () => file.note,
      forget: async () => {
        file.note = undefined;
      },
      save: async (note) => {
        const how = failSave;
        failSave = undefined;
        if (how !== 'lost') {
          file.note = note;
          history.push(note);
        }
        if (how) throw new Error('the disk is full');
      },
    },
    onEvent: (event) => events.push(event),
  });
  return {
    log,
    witnessed,
    witnesses,
    disk,
    store,
    file,
    history,
    events,
    vkeys: policy.witnesses.map((witness) => witness.vkey),
    failNextSave: (how: 'lost' | 'persisted') => {
      failSave = how;
    },
    close: async () => {
      await witnessed.close();
      await log.close();
    },
  };
}

/** Waits for something that a publisher does by itself. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(2);
}

const sizeOf = (note: string): bigint => parseCheckpoint(note).treeSize;

describe('with enough witnesses', () => {
  test('an append is answered with the cosigned checkpoint and a proof in its tree', async () => {
    const { witnessed, vkeys, close } = await open();
    for (let i = 0; i < 5; i++) {
      const entry = await witnessed.append({ body: body(i) });
      const { note, treeSize, rootHash } = parseCheckpoint(entry.checkpoint);
      expect(isNoteSignedBy(note, vkey)).toBe(true);
      expect(verifyCosignatures(note, vkeys).length).toBeGreaterThanOrEqual(2);
      expect(entry).toMatchObject({ index: BigInt(i), treeSize, rootHash });
      verifyInclusion({ ...entry, hashes: entry.hashes });
    }
    await close();
  });
  test('many at once share a publication', async () => {
    const { witnessed, history, close } = await open({ policy: { intervalMs: 30 } });
    await until(() => history.length > 0);
    const entries = await Promise.all(Array.from({ length: 300 }, (_, i) => witnessed.append({ body: body(i) })));
    for (const entry of entries) verifyInclusion({ ...entry, hashes: entry.hashes });
    expect(new Set(entries.map(({ checkpoint }) => checkpoint)).size).toBeLessThanOrEqual(3);
    await close();
  });
  test('a duplicate is answered with the first entry under a cosigned checkpoint', async () => {
    const { witnessed, vkeys, close } = await open();
    const first = await witnessed.append({ body: body(1) });
    const again = await witnessed.append({ body: body(1) });
    expect(again).toMatchObject({ index: first.index, duplicate: true });
    expect(verifyCosignatures(parseCheckpoint(again.checkpoint).note, vkeys).length).toBeGreaterThanOrEqual(2);
    await close();
  });
  test('the empty tree is published too', async () => {
    const { witnessed, history, close } = await open();
    await until(() => history.length > 0);
    expect(witnessed.head().treeSize).toBe(0n);
    await close();
  });
  test('one that is down does not keep the others from it', async () => {
    const { witnessed, witnesses, close } = await open();
    witnesses.faults.set('w1.example', () => Promise.reject(new Error('connection refused')));
    const entry = await witnessed.append({ body: body(1) });
    expect(
      parseCheckpoint(entry.checkpoint)
        .note.signatures.map(({ name }) => name)
        .sort(),
    ).toEqual(['log.example', 'w2.example', 'w3.example']);
    await close();
  });
  test('one that was down catches up by the size that it names', async () => {
    const { witnessed, witnesses, vkeys, close } = await open({ policy: { threshold: 3 } });
    await witnessed.append({ body: body(0) });
    witnesses.faults.set('w1.example', () => new Response('', { status: 500 }));
    const waiting = Promise.all([1, 2, 3].map((i) => witnessed.append({ body: body(i) })));
    await until(() => witnesses.requests.filter((name) => name === 'w2.example').length > 3);
    witnesses.faults.delete('w1.example');
    for (const { checkpoint } of await waiting)
      expect(verifyCosignatures(parseCheckpoint(checkpoint).note, vkeys)).toHaveLength(3);
    await close();
  });
});

describe('what is read is what was published', () => {
  test('nothing of what no published checkpoint covers', async () => {
    const { log, witnessed, witnesses, close } = await open();
    for (let i = 0; i < 3; i++) await witnessed.append({ body: body(i) });
    for (const name of NAMES) witnesses.faults.set(name, () => new Response('', { status: 503 }));
    const hidden = await log.append({ body: body('hidden') });
    expect(log.head().treeSize).toBe(4n);
    expect(witnessed.head().treeSize).toBe(3n);
    expect(witnessed.lag()).toBe(1n);
    expect(witnessed.entriesAlone.head()).toEqual(witnessed.head());
    expect(await witnessed.entry(3n)).toBeUndefined();
    expect(await witnessed.entry(2n)).toBeDefined();
    expect(await witnessed.entries(0n, 10n)).toHaveLength(3);
    expect(await witnessed.entries(3n, 10n)).toHaveLength(0);
    expect(await witnessed.indexOf(hidden.leafHash)).toBeUndefined();
    expect((await witnessed.tile(0, 0n, 3))?.length).toBe(96);
    expect(await witnessed.tile(0, 0n, 4)).toBeUndefined();
    expect((await witnessed.proveInclusion(0n)).treeSize).toBe(3n);
    await close();
  });
  test('full tiles once they are covered', async () => {
    const { log, witnessed, close } = await open();
    await Promise.all(Array.from({ length: TILE_WIDTH + 1 }, (_, i) => log.append({ body: body(i) })));
    await witnessed.append({ body: body('last') });
    expect((await witnessed.tile(0, 0n, TILE_WIDTH))?.length).toBe(TILE_WIDTH * 32);
    expect((await witnessed.tile(1, 0n, 1))?.length).toBe(32);
    await close();
  });
});

describe('with too few witnesses', () => {
  test('fail closed: nothing is published, appends end with OVERLOADED, the log says why', async () => {
    const { witnessed, witnesses, log, events, file, close } = await open({ policy: { answerMs: 60 } });
    witnesses.faults.set('w1.example', () => new Response('no', { status: 403 }));
    witnesses.faults.set('w2.example', () => Promise.reject(new Error('connection refused')));
    await until(() => events.some((event) => event.kind === 'published') || events.length > 0);
    const before = file.note;
    expect((await rejectionOf(witnessed.append({ body: body(1) }))).code).toBe('OVERLOADED');
    expect(log.head().treeSize).toBe(1n);
    expect(file.note === undefined || sizeOf(file.note) === 0n).toBe(true);
    expect(file.note).toBe(before);
    const event = events.findLast(({ kind }) => kind === 'too-few-witnesses');
    expect(event).toMatchObject({ published: false, have: 1 });
    // Once they are back, the same submission finds its entry.
    witnesses.faults.clear();
    await until(() => events.some((found) => found.kind === 'published' && found.treeSize === 1n));
    expect(await witnessed.append({ body: body(1) })).toMatchObject({ index: 0n, duplicate: true });
    await close();
  });
  test('fail closed: before the first publication there is no head', async () => {
    const witnesses = await createTestWitnesses(NAMES, vkey, clock);
    for (const name of NAMES) witnesses.faults.set(name, () => new Response('', { status: 500 }));
    const { witnessed, events, close } = await open({ witnesses });
    await until(() => events.length > 0);
    expect(() => witnessed.head()).toThrow('no checkpoint has been cosigned by enough witnesses yet');
    expect((await rejectionOf(witnessed.proveInclusion(0n))).code).toBe('OVERLOADED');
    expect(await witnessed.entries(0n, 1n)).toEqual([]);
    expect(witnessed.entriesAlone.head().treeSize).toBe(0n);
    await close();
  });
  test('fail open: it is published without them and says so; with them again, with their cosignatures', async () => {
    const { witnessed, witnesses, events, vkeys, close } = await open({ policy: { fail: 'open' } });
    for (const name of NAMES) witnesses.faults.set(name, () => new Response('', { status: 500 }));
    await until(() => events.length > 0);
    const entry = await witnessed.append({ body: body(1) });
    expect(verifyCosignatures(parseCheckpoint(entry.checkpoint).note, vkeys)).toHaveLength(0);
    expect(events.at(-1)).toMatchObject({ kind: 'published', treeSize: 1n, cosignatures: 0 });
    expect(events.some((event) => event.kind === 'too-few-witnesses' && event.published)).toBe(true);
    witnesses.faults.clear();
    await until(() => verifyCosignatures(parseCheckpoint(witnessed.head().checkpoint).note, vkeys).length >= 2);
    expect(witnessed.head().treeSize).toBe(1n);
    await close();
  });
  test('two witnesses of one key are refused, whatever their names', async () => {
    const witnesses = await createTestWitnesses(['w1.example'], vkey, clock);
    const [address] = witnesses.addresses;
    const alias = { url: 'http://alias.example', vkey: vkeyOf('alias.example', 'witness', address!.vkey.publicKey) };
    const opening = open({ witnesses, policy: { witnesses: [address!, alias] } });
    expect(opening).rejects.toThrow('two witnesses with one key');
    await opening.catch(() => {});
  });
});

describe('a hostile witness cannot hurt:', () => {
  const stranger = generateKey('ed25519');
  const note = (text: string) => `${text}\n\n— x ${Buffer.alloc(72).toString('base64')}\n`;
  const text200 = (content: string | Uint8Array<ArrayBuffer>) => () => new Response(content);
  const sizeOf409 =
    (content: string, type = 'text/x.tlog.size') =>
    () =>
      new Response(content, { status: 409, headers: { 'content-type': type } });
  for (const [flaw, fault] of [
    ['nothing', text200('')],
    ['garbage', text200('garbage')],
    ['bytes that are no text', text200(new Uint8Array([0xff, 0xfe, 0x0a]))],
    ['a page', text200('<html>'.repeat(100))],
    ['more than fits', text200('x'.repeat(MAX_WITNESS_ANSWER_BYTES + 1))],
    ['a whole note', text200(note('text'))],
    ['a line of another name', text200(`— other.example ${Buffer.alloc(76).toString('base64')}\n`)],
    ['a conflict without size', sizeOf409('')],
    ['a conflict with a huge size', sizeOf409('9'.repeat(100))],
    ['a conflict with a size beyond the log', sizeOf409('1000000\n')],
    ['a conflict of another type', sizeOf409('0\n', 'text/plain')],
    ['a conflict for ever', sizeOf409('0\n')],
    ['a conflict that is endless', sizeOf409(`${'1'.repeat(2_000_000)}\n`)],
    ['a redirect', () => Response.redirect('http://w2.example/add-checkpoint', 307)],
    ['an error', () => new Response('x'.repeat(1000), { status: 500 })],
    ['no answer', () => new Promise<Response>(() => {})],
  ] as const) {
    test(flaw, async () => {
      const { witnessed, witnesses, vkeys, close } = await open();
      witnesses.faults.set('w1.example', fault);
      for (let i = 0; i < 3; i++) {
        const { checkpoint } = await witnessed.append({ body: body(i) });
        const parsed = parseCheckpoint(checkpoint);
        expect(parsed.note.signatures).toHaveLength(3);
        expect(verifyCosignatures(parsed.note, vkeys)).toHaveLength(2);
      }
      await close();
    });
  }
  test('a cosignature of another key under its name and key ID, and one of another text', async () => {
    const { witnessed, witnesses, vkeys, close, log } = await open({ policy: { answerMs: 60 } });
    const answer = (witness: (typeof vkeys)[number] | undefined, by: typeof stranger, text: string) =>
      new Response(serializeSignatureLines([cosign(text, witness!, by, clock())]));
    const textNow = () => parseCheckpoint(log.head().checkpoint).note.text;
    witnesses.faults.set('w1.example', () => answer(vkeys[0], stranger, textNow()));
    witnesses.faults.set('w2.example', () => answer(vkeys[1], stranger, 'log.example\n1\nother\n'));
    expect((await rejectionOf(witnessed.append({ body: body(0) }))).code).toBe('OVERLOADED');
    await close();
  });
  test('what is good of an answer with lines of strangers is kept, the rest is not', async () => {
    const { witnessed, witnesses, close } = await open({ policy: { threshold: 3 } });
    const { fetch } = witnesses;
    const noisy = createWitnessClient({
      witness: witnesses.addresses[0]!,
      timeoutMs: 1000,
      prove: witnessed.consistencyPath,
      fetch: async (url, init) => {
        const answer = await fetch(url, init);
        if (answer.status !== 200) return answer;
        return new Response(`— x ${Buffer.alloc(72).toString('base64')}\n${await answer.text()}`);
      },
    });
    await witnessed.append({ body: body(0) });
    expect((await noisy.cosignatureOf(witnessed.head())).name).toBe('w1.example');
    await close();
  });
});

describe('after a crash', () => {
  test('it goes on with what was published, at once', async () => {
    const first = await open();
    await first.witnessed.append({ body: body(0) });
    await first.witnessed.append({ body: body(1) });
    // Killed: nothing is closed.
    const last = first.witnessed.head();
    for (const name of NAMES) first.witnesses.faults.set(name, () => new Response('', { status: 500 }));
    const second = await open(first);
    expect(second.witnessed.head()).toEqual(last);
    await second.close();
    await first.close();
  });
  test('with nothing due at the start, what comes later is published', async () => {
    const first = await open();
    await first.witnessed.append({ body: body(0) });
    await first.close();
    const second = await open(first);
    expect(second.witnessed.lag()).toBe(0n);
    await Bun.sleep(20);
    expect(await second.witnessed.append({ body: body(1) })).toMatchObject({ index: 1n, treeSize: 2n });
    await second.close();
  });
  test('what was durable and not published is published, and witnesses that know less or more of it agree', async () => {
    const first = await open();
    await first.witnessed.append({ body: body(0) });
    first.witnesses.faults.set('w1.example', () => new Response('', { status: 500 }));
    first.witnesses.faults.set('w2.example', () => new Response('', { status: 500 }));
    const unanswered = first.witnessed.append({ body: body(1) }).catch(() => 'killed');
    await until(() => sizeOf(first.witnesses.memories[2]!.notes.get('log.example') ?? '') === 2n);
    await first.close();
    expect(await unanswered).toBe('killed');
    first.witnesses.faults.clear();
    const second = await open(first);
    await until(() => second.witnessed.head().treeSize === 2n);
    expect(await second.witnessed.append({ body: body(1) })).toMatchObject({ index: 1n, duplicate: true });
    await second.close();
  });
  test('a published head that was lost, or stored although it failed, is never followed by a smaller one', async () => {
    for (const how of ['lost', 'persisted'] as const) {
      const { witnessed, failNextSave, history, events, file, close } = await open();
      await until(() => history.length > 0);
      failNextSave(how);
      await witnessed.append({ body: body(0) });
      await witnessed.append({ body: body(1) });
      expect(events.some((event) => event.kind === 'fault')).toBe(true);
      const sizes = history.map(sizeOf);
      expect(sizes).toEqual(sizes.toSorted((a, b) => Number(a - b)));
      expect(sizeOf(file.note as string)).toBe(2n);
      await close();
    }
  });
  test('a database that is older than what was published is refused', async () => {
    const first = await open();
    const old = structuredClone(first.disk);
    await first.witnessed.append({ body: body(0) });
    await first.close();
    expect((await rejectionOf(open({ ...first, disk: old }))).code).toBe('LOG_FORKED');
  });
  test('a database with another tree of the same size is refused', async () => {
    const first = await open();
    await first.witnessed.append({ body: body(0) });
    await first.close();
    const other = await open({ witnesses: await createTestWitnesses(NAMES, vkey, clock) });
    await other.witnessed.append({ body: body('other') });
    await other.close();
    expect((await rejectionOf(open({ ...first, disk: other.disk }))).code).toBe('LOG_FORKED');
  });
  test('a policy that became stricter does not publish what it would not have', async () => {
    const witnesses = await createTestWitnesses(NAMES, vkey, clock);
    witnesses.faults.set('w1.example', () => new Response('', { status: 500 }));
    const loose = await open({ witnesses });
    await loose.witnessed.append({ body: body(0) });
    await loose.close();
    const strict = await open({ ...loose, policy: { threshold: 3 } });
    expect(() => strict.witnessed.head()).toThrow('cosigned by enough witnesses');
    witnesses.faults.clear();
    await until(() => strict.events.some(({ kind }) => kind === 'published'));
    expect(strict.witnessed.head().treeSize).toBe(1n);
    await strict.close();
  });
});

test('close ends what waits, also while a witness is silent', async () => {
  const { witnessed, witnesses, close } = await open();
  await witnessed.append({ body: body(0) });
  for (const name of NAMES) witnesses.faults.set(name, () => new Promise<Response>(() => {}));
  const waiting = rejectionOf(witnessed.append({ body: body(1) }));
  await until(() => witnesses.requests.length > 6);
  await close();
  expect((await waiting).message).toBe('the log is shutting down');
  expect((await rejectionOf(witnessed.append({ body: body(2) }))).code).toBe('OVERLOADED');
});

describe('what was published is taken up', () => {
  const signer = createNoteSigner('log.example', 'log.example', key);
  const memory = (note: string | undefined) => {
    const file = { note };
    const head = {
      load: async () => file.note,
      save: async () => {},
      forget: async () => {
        file.note = undefined;
      },
    };
    return { file, head };
  };
  const withEntries = async (count: number): Promise<Log> => {
    const store = createMemoryStore(createMemoryDisk());
    const log = await openLog({ store, tree: 'v2', signer, clock, identity: 'leaf-hash' });
    for (let i = 0; i < count; i++) await log.append({ body: body(i) });
    return log;
  };

  test('only with the signature of the log', async () => {
    const log = await withEntries(2);
    const { rootHash } = log.head();
    const stranger = createNoteSigner('log.example', 'log.example', generateKey('ed25519'));
    await expect(open({ file: { note: stranger.sign(0n, EMPTY_ROOT) } })).rejects.toMatchObject({ code: 'LOG_FORKED' });
    const { file, head } = memory(stranger.sign(2n, rootHash));
    await expect(forgetPublished(log, signer, head)).rejects.toMatchObject({ code: 'LOG_FORKED' });
    expect(file.note).toBeDefined();
  });

  test('and forgotten without witnesses only by a log that holds it', async () => {
    const newer = await withEntries(3);
    const { file, head } = memory(newer.head().checkpoint);
    await expect(forgetPublished(await withEntries(2), signer, head)).rejects.toMatchObject({ code: 'LOG_FORKED' });
    expect(file.note).toBe(newer.head().checkpoint);
    await forgetPublished(newer, signer, head);
    expect(file.note).toBeUndefined();
  });
});
