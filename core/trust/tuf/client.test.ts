import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { serializeUtf8 } from '../../bytes/bytes.ts';
import type { Json } from '../../bytes/json.ts';
import { sharedPath } from '../../bytes/shared-data.ts';
import type { FetchLike } from '../../http/client.ts';
import { MAX_TUF_ROOT_ROTATIONS, MAX_TUF_TIMESTAMP_BYTES } from '../../limits.ts';
import { publishRepository } from './repository.ts';
import {
  type Files,
  FUTURE,
  hashOf,
  memory,
  mirror,
  NOW,
  OTHER,
  PAST,
  ROOT_KEY,
  reject,
  repository,
  rootFile,
  type Shape,
  text,
  update,
} from './testing.ts';

describe('a good repository', () => {
  test('its target, and the metadata stored', async () => {
    const store = memory();
    const { files, root } = await update(repository(), { store });
    expect(text(files.get('a.json'))).toBe('content');
    expect(root.version).toBe(1);
    expect([...store.files.keys()].sort()).toEqual([
      '1.root.json',
      'root.json',
      'snapshot.json',
      'targets.json',
      'timestamp.json',
    ]);
  });

  test('without the optional lengths and hashes', async () => {
    expect((await update(repository({ bare: true }))).files.size).toBe(1);
  });

  test('a target that is not listed is left out', async () => {
    expect((await update(repository(), { targets: ['a.json', 'b.json'] })).files.size).toBe(1);
  });

  test('again, with nothing new', async () => {
    const store = memory();
    await update(repository(), { store });
    expect((await update(repository(), { store })).files.size).toBe(1);
    expect(repository().get('timestamp.json')).toEqual(store.files.get('timestamp.json'));
  });

  test('what the publisher builds', async () => {
    const target = { name: 'a.json', bytes: serializeUtf8('published') };
    const { files } = publishRepository(new Map(), { root: ROOT_KEY, online: OTHER }, [target], NOW);
    expect(text((await update(new Map(files))).files.get('a.json'))).toBe('published');
  });

  test('public-good, from its first root', async () => {
    const folder = sharedPath('trust/tuf-public-good');
    if (folder === undefined) return console.log('skipped: no test data');
    const read = (name: string): Uint8Array => readFileSync(`${folder}/${name}`);
    const files: Files = new Map([['timestamp.json', read('timestamp.json')]]);
    for (let version = 1; version <= 15; version++)
      files.set(`${version}.root.json`, read(`root_history/${version}.root.json`));
    files.set('165.snapshot.json', read('snapshot.json')).set('14.targets.json', read('targets.json'));
    const trustedRoot = readFileSync(sharedPath('trust/public-good.trusted_root.json') as string);
    files.set(`targets/${hashOf(trustedRoot)}.trusted_root.json`, trustedRoot);
    const now = new Date('2026-08-25T00:00:00Z');
    const result = await update(files, { now, targets: ['trusted_root.json'] });
    expect([result.root.version, result.targets.version, result.files.size]).toEqual([15, 14, 1]);
    await reject(update(files, { now: new Date('2026-08-28T19:25:56Z') }), 'TUF_EXPIRED');
  });
});

describe('root', () => {
  const second = rootFile({ version: 2, online: OTHER });
  const rotated = (shape: Shape = {}): Shape => ({
    timestamp: { key: OTHER, ...shape.timestamp },
    snapshot: { key: OTHER, ...shape.snapshot },
    targets: { key: OTHER, ...shape.targets },
    roots: shape.roots ?? [rootFile({}), second],
  });

  test('a change of keys is followed', async () => {
    const store = memory();
    expect((await update(repository(rotated()), { store })).root.version).toBe(2);
    expect(store.files.get('root.json')).toEqual(second);
  });

  test('the root key itself may change, signed by the old and the new one', async () => {
    const roots = [rootFile({}), rootFile({ version: 2, root: OTHER, signers: [ROOT_KEY, OTHER] })];
    expect((await update(repository({ roots }))).root.version).toBe(2);
  });

  test('not signed by the root before', async () => {
    const roots = [rootFile({}), rootFile({ version: 2, root: OTHER, signers: [OTHER] })];
    await reject(update(repository({ roots })), 'TUF_SIGNATURE_INVALID');
  });

  test('not signed by itself', async () => {
    const roots = [rootFile({}), rootFile({ version: 2, root: OTHER, signers: [ROOT_KEY] })];
    await reject(update(repository({ roots })), 'TUF_SIGNATURE_INVALID');
  });

  test('rollback: another version than its name says', async () => {
    await reject(update(repository({ roots: [rootFile({}), rootFile({ version: 1 })] })), 'TUF_ROLLBACK');
    await reject(update(repository({ roots: [rootFile({}), rootFile({ version: 3 })] })), 'TUF_ROLLBACK');
  });

  test('freeze: the last root expired', async () => {
    await reject(update(repository({ roots: [rootFile({ expires: PAST })] })), 'TUF_EXPIRED');
    await reject(update(repository({ roots: [rootFile({}), rootFile({ version: 2, expires: PAST })] })), 'TUF_EXPIRED');
  });

  test('an expired root on the way does not matter', async () => {
    const roots = [rootFile({ expires: PAST }), rootFile({ version: 2 })];
    expect((await update(repository({ roots }))).root.version).toBe(2);
  });

  test('given root not signed by itself', async () => {
    await reject(update(repository(), { root: rootFile({ signers: [OTHER] }) }), 'TUF_SIGNATURE_INVALID');
  });

  test('roots without end', async () => {
    const fetch: FetchLike = async (url) => {
      const version = Number(/([0-9]+)\.root\.json$/.exec(url)?.[1]);
      return new Response(Uint8Array.from(rootFile({ version })));
    };
    await reject(update(repository(), { fetch }), 'TUF_ROLLBACK');
    expect(MAX_TUF_ROOT_ROTATIONS).toBe(256);
  });

  test('a web page in place of "not found"', async () => {
    const files = repository();
    files.set('2.root.json', serializeUtf8('<html></html>'));
    await reject(update(files), 'TUF_METADATA_INVALID');
  });

  test('fast-forward: after a change of keys, stolen keys’ high versions are forgotten', async () => {
    const store = memory();
    const high = { version: 2 ** 31 - 1 };
    await update(repository({ timestamp: high, snapshot: high }), { store });
    await reject(update(repository(), { store }), 'TUF_ROLLBACK');
    expect((await update(repository(rotated()), { store })).timestamp.version).toBe(1);
  });
});

describe('timestamp', () => {
  test('signed by another key', async () => {
    await reject(update(repository({ timestamp: { key: OTHER } })), 'TUF_SIGNATURE_INVALID');
  });
  test('freeze: expired', () => reject(update(repository({ timestamp: { expires: PAST } })), 'TUF_EXPIRED'));
  test('freeze: expires at this very moment', async () => {
    await reject(update(repository({ timestamp: { expires: '2026-06-01T00:00:00Z' } })), 'TUF_EXPIRED');
  });

  test('rollback: older than the one seen before', async () => {
    const store = memory();
    await update(repository({ timestamp: { version: 5 } }), { store });
    await reject(update(repository({ timestamp: { version: 4 } }), { store }), 'TUF_ROLLBACK');
    expect((await update(repository({ timestamp: { version: 6 } }), { store })).timestamp.version).toBe(6);
  });

  test('rollback: names an older snapshot', async () => {
    const store = memory();
    await update(repository({ timestamp: { version: 5 }, snapshot: { version: 3 } }), { store });
    const older = repository({ timestamp: { version: 6 }, snapshot: { version: 2 } });
    await reject(update(older, { store }), 'TUF_ROLLBACK');
  });

  test('the same version with other content: the first one counts', async () => {
    const store = memory();
    await update(repository({ timestamp: { expires: '2026-06-02T00:00:00Z' } }), { store });
    const now = new Date('2026-06-03T00:00:00Z');
    await reject(update(repository({ timestamp: { expires: FUTURE } }), { store, now }), 'TUF_EXPIRED');
  });

  test('what is stored and not signed by the root counts for nothing', async () => {
    const store = memory();
    store.write(
      'timestamp.json',
      repository({ timestamp: { version: 9, key: OTHER } }).get('timestamp.json') as Uint8Array,
    );
    expect((await update(repository(), { store })).timestamp.version).toBe(1);
  });

  test('what is stored and damaged counts for nothing', async () => {
    const store = memory();
    store.write('timestamp.json', serializeUtf8('{'));
    store.write('root.json', serializeUtf8('{'));
    expect((await update(repository(), { store })).timestamp.version).toBe(1);
  });

  test('oversized', async () => {
    const files = repository();
    files.set('timestamp.json', new Uint8Array(MAX_TUF_TIMESTAMP_BYTES + 1));
    await reject(update(files), 'SERVICE_ANSWER_INVALID');
  });

  test('missing', async () => {
    const files = repository();
    files.delete('timestamp.json');
    await reject(update(files), 'SERVICE_ANSWER_INVALID');
  });
});

describe('snapshot', () => {
  const swap = (path: string, bytes: Uint8Array, shape: Shape = {}): Files => repository(shape).set(path, bytes);
  const good = (shape: Shape): Uint8Array => repository(shape).get('1.snapshot.json') as Uint8Array;

  test('signed by another key', async () => {
    await reject(update(repository({ snapshot: { key: OTHER } })), 'TUF_SIGNATURE_INVALID');
  });
  test('freeze: expired', () => reject(update(repository({ snapshot: { expires: PAST } })), 'TUF_EXPIRED'));

  test('wrong hash: not the one that the timestamp names', async () => {
    const other = good({ snapshot: { expires: '2026-07-02T00:00:00Z' } });
    await reject(update(swap('1.snapshot.json', other)), 'TUF_TARGET_INVALID');
  });

  test('rollback: another version than the timestamp names', async () => {
    const second = repository({ snapshot: { version: 2 } }).get('2.snapshot.json') as Uint8Array;
    await reject(update(swap('1.snapshot.json', second, { bare: true })), 'TUF_ROLLBACK');
  });

  test('rollback: targets older than seen before', async () => {
    const store = memory();
    await update(repository({ targets: { version: 5 } }), { store });
    const older = repository({ timestamp: { version: 2 }, snapshot: { version: 2 }, targets: { version: 4 } });
    await reject(update(older, { store }), 'TUF_ROLLBACK');
  });

  test('rollback: a file that was listed before is gone', async () => {
    const store = memory();
    const both = { 'targets.json': { version: 1 }, 'more.json': { version: 1 } };
    await update(repository({ snapshot: { meta: both } }), { store });
    const fewer = repository({ timestamp: { version: 2 }, snapshot: { version: 2 } });
    await reject(update(fewer, { store }), 'TUF_ROLLBACK');
  });

  test('oversized: longer than the timestamp says', async () => {
    const long = serializeUtf8(`${text(good({}))}     `);
    await reject(update(swap('1.snapshot.json', long)), 'SERVICE_ANSWER_INVALID');
  });

  test('lists no targets', async () => {
    await reject(update(repository({ snapshot: { meta: {} } })), 'TUF_TARGET_INVALID');
  });
});

describe('targets', () => {
  const targetsOf = (shape: Shape): Uint8Array => repository(shape).get('1.targets.json') as Uint8Array;
  const swapped = (shape: Shape, bare = false): Files => repository({ bare }).set('1.targets.json', targetsOf(shape));

  test('signed by another key', async () => {
    await reject(update(repository({ targets: { key: OTHER } })), 'TUF_SIGNATURE_INVALID');
  });
  test('freeze: expired', () => reject(update(repository({ targets: { expires: PAST } })), 'TUF_EXPIRED'));
  test('mix and match: not the file that the snapshot names', async () => {
    await reject(update(swapped({ content: 'another' })), 'TUF_TARGET_INVALID');
  });
  test('rollback: another version than the snapshot names', async () => {
    const second = repository({ targets: { version: 2 } }).get('2.targets.json') as Uint8Array;
    await reject(update(repository({ bare: true }).set('1.targets.json', second)), 'TUF_ROLLBACK');
  });
});

describe('target file', () => {
  const content = serializeUtf8('content');
  const path = `targets/${hashOf(content)}.a.json`;
  const listed = (name: string, target: Json): Shape => ({ targets: { list: { [name]: target } } });

  test('wrong hash', async () => {
    await reject(update(repository().set(path, serializeUtf8('CONTENT'))), 'TUF_TARGET_INVALID');
  });
  test('too short', async () => {
    await reject(update(repository().set(path, serializeUtf8('conten'))), 'TUF_TARGET_INVALID');
  });
  test('oversized: longer than was signed', async () => {
    await reject(update(repository().set(path, serializeUtf8('content!'))), 'SERVICE_ANSWER_INVALID');
  });
  test('second hash wrong', async () => {
    const target = { length: content.length, hashes: { sha256: hashOf(content), sha512: '0'.repeat(128) } };
    await reject(update(repository(listed('a.json', target))), 'TUF_TARGET_INVALID');
  });
  test('length above what a trust file may have', async () => {
    const target = { length: 2 ** 40, hashes: { sha256: hashOf(content) } };
    await reject(update(repository(listed('a.json', target))), 'TUF_TARGET_INVALID');
  });

  test.each(['../a.json', '/etc/passwd', 'a/../../b', '..', '.hidden', 'a\\b', 'a%2fb', 'a\nb', 'a?b'])(
    'path traversal in target name %j',
    async (name) => {
      const target = { length: content.length, hashes: { sha256: hashOf(content) } };
      const files = repository(listed(name, target));
      files.set(`targets/${hashOf(content)}.${name}`, content);
      await reject(update(files, { targets: [name] }), 'TUF_TARGET_INVALID');
    },
  );

  test('a name with traversal that nobody asks for harms nothing', async () => {
    const target = { length: content.length, hashes: { sha256: hashOf(content) } };
    const files = repository({ targets: { list: { '../../x': target, 'a.json': target } } });
    expect((await update(files)).files.size).toBe(1);
  });
});

describe('transport', () => {
  const answering =
    (status: number, headers: Record<string, string> = {}): FetchLike =>
    async () =>
      new Response(null, { status, headers });

  test('redirect to another host', async () => {
    const fetch = answering(302, { location: 'http://169.254.169.254/latest' });
    await reject(update(repository(), { fetch }), 'SERVICE_REFUSED');
  });
  test('redirect to another port or scheme', async () => {
    await reject(
      update(repository(), { fetch: answering(301, { location: 'http://mirror.test:81/' }) }),
      'SERVICE_REFUSED',
    );
    await reject(
      update(repository(), { fetch: answering(301, { location: 'https://mirror.test/' }) }),
      'SERVICE_REFUSED',
    );
  });
  test('redirect in a circle', async () => {
    await reject(update(repository(), { fetch: answering(302, { location: '/again' }) }), 'SERVICE_REFUSED');
  });
  test('redirect within the host is followed', async () => {
    const files = repository();
    const fetch: FetchLike = async (url) =>
      url.includes('/moved/')
        ? mirror(files)(url.replace('/moved/', '/'))
        : new Response(null, { status: 302, headers: { location: url.replace('/tuf/', '/tuf/moved/') } });
    expect((await update(files, { fetch })).files.size).toBe(1);
  });
  test('server error is not "no more roots"', () =>
    reject(update(repository(), { fetch: answering(500) }), 'SERVICE_REFUSED'));
  test('server error that passes is none', async () => {
    const files = repository();
    let failures = 2;
    const fetch: FetchLike = async (url) => (failures-- > 0 ? new Response(null, { status: 502 }) : mirror(files)(url));
    expect((await update(files, { fetch })).files.size).toBe(1);
  });
  test('unreachable', async () => {
    const fetch: FetchLike = () => Promise.reject(new Error('ECONNREFUSED'));
    await reject(update(repository(), { fetch }), 'SERVICE_UNREACHABLE');
  });
  test('URL that is not http(s)', async () => {
    const fetch = answering(404);
    await reject(update(repository(), { fetch, url: 'file:///etc' }), 'SERVICE_UNREACHABLE');
  });
});
