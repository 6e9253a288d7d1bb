// One test for each class of past advisories about TUF clients (go-tuf, python-tuf and their kin), by its identifier.

import { describe, expect, test } from 'bun:test';
import { serializeHex, serializeUtf8 } from '../../bytes/bytes.ts';
import type { Json } from '../../bytes/json.ts';
import { sign } from '../../crypto/private-key.ts';
import { HallmarkError } from '../../errors.ts';
import type { FetchLike } from '../../http/client.ts';
import { MAX_TUF_LIST, MAX_TUF_TIMESTAMP_BYTES } from '../../limits.ts';
import { canonicalizeTufJson } from './canonical-json.ts';
import { serializeTufKey } from './keys.ts';
import {
  FUTURE,
  hashOf,
  memory,
  metadata,
  mirror,
  ONLINE,
  OTHER,
  ROOT_KEY,
  reject,
  repository,
  rootFile,
  signed,
  text,
  update,
} from './testing.ts';

const idOf = (key: typeof ONLINE): string => serializeTufKey(key.publicKey).keyid;
const CONTENT = serializeUtf8('content');
const TARGET = { length: CONTENT.length, hashes: { sha256: hashOf(CONTENT) } };

/** A root of any roles and keys, signed by the root key. */
function rootOf(
  keys: Record<string, Json>,
  roles: Record<string, { keyids: string[]; threshold: number }>,
): Uint8Array {
  const body = { consistent_snapshot: true, keys, roles };
  return signed(metadata('root', 1, FUTURE, body), ROOT_KEY);
}
const KEYS = {
  [idOf(ROOT_KEY)]: serializeTufKey(ROOT_KEY.publicKey).json,
  [idOf(ONLINE)]: serializeTufKey(ONLINE.publicKey).json,
};
const role = (threshold: number, ...keyids: string[]) => ({ keyids, threshold });
const ROLES = {
  root: role(1, idOf(ROOT_KEY)),
  timestamp: role(1, idOf(ONLINE)),
  snapshot: role(1, idOf(ONLINE)),
  targets: role(1, idOf(ONLINE)),
};

describe('GHSA-66x3-6cw3-v5gj: rollback of roles other than the root', () => {
  test.each(['timestamp', 'snapshot', 'targets'] as const)('%s', async (name) => {
    const store = memory();
    // Whatever lies above names the lower version, as who holds its key alone could make it.
    await update(repository({ [name]: { version: 7 } }), { store });
    await reject(
      update(repository({ [name]: { version: 6 }, timestamp: { version: name === 'timestamp' ? 6 : 9 } }), { store }),
      'TUF_ROLLBACK',
    );
    expect(text(store.files.get('timestamp.json'))).not.toContain('"version":6');
  });
});

describe('GHSA-3633-5h82-39pq: keys under IDs that are not theirs', () => {
  test('a key under the ID of another vouches as itself alone', async () => {
    const roots = [
      rootOf({ ...KEYS, [idOf(OTHER)]: KEYS[idOf(ONLINE)] as Json }, { ...ROLES, timestamp: role(1, idOf(OTHER)) }),
    ];
    await reject(update(repository({ roots, timestamp: { key: OTHER } })), 'TUF_SIGNATURE_INVALID');
  });
  test('one key under two IDs meets no threshold of two', async () => {
    const roots = [
      rootOf({ ...KEYS, twin: KEYS[idOf(ONLINE)] as Json }, { ...ROLES, timestamp: role(2, idOf(ONLINE), 'twin') }),
    ];
    const files = repository({ roots });
    const timestamp = JSON.parse(text(files.get('timestamp.json')));
    timestamp.signatures.push({ keyid: 'twin', sig: timestamp.signatures[0].sig });
    files.set('timestamp.json', serializeUtf8(JSON.stringify(timestamp)));
    await reject(update(files), 'TUF_SIGNATURE_INVALID');
  });
  test('a key that cannot be read vouches for nothing', async () => {
    const broken = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: '00' } };
    const roots = [rootOf({ ...KEYS, broken }, { ...ROLES, timestamp: role(1, 'broken') })];
    await reject(update(repository({ roots })), 'TUF_SIGNATURE_INVALID');
  });
});

describe('GHSA-4f8r-qqr9-fq8j: a target taken from the wrong delegation', () => {
  test('delegations are not followed: what only they list is not there', async () => {
    const files = repository();
    const delegations = {
      keys: KEYS,
      roles: [{ name: 'other', keyids: [idOf(ONLINE)], threshold: 1, paths: ['*'], terminating: true }],
    };
    const targets = signed(metadata('targets', 1, FUTURE, { targets: {}, delegations }), ONLINE);
    const delegated = signed(metadata('targets', 1, FUTURE, { targets: { 'a.json': TARGET } }), ONLINE);
    const meta = (bytes: Uint8Array): Json => ({ version: 1, length: bytes.length, hashes: { sha256: hashOf(bytes) } });
    const snapshotMeta = { 'targets.json': meta(targets), 'other.json': meta(delegated) };
    const withDelegation = repository({ snapshot: { meta: snapshotMeta } });
    files.set('timestamp.json', withDelegation.get('timestamp.json') as Uint8Array);
    files.set('1.snapshot.json', withDelegation.get('1.snapshot.json') as Uint8Array);
    files.set('1.targets.json', targets).set('1.other.json', delegated);
    expect((await update(files)).files.size).toBe(0);
  });
});

describe('GHSA-846p-jg2w-w324: malformed metadata ends the client', () => {
  const parts: Json[] = [
    null,
    [],
    {},
    0,
    '',
    [null],
    { signed: null, signatures: [] },
    { signed: {}, signatures: null },
  ];
  const bodies: Json[] = ['root', 'timestamp', 'snapshot', 'targets'].map((name) => metadata(name, 1, FUTURE, {}));
  const malformed = [...parts, ...bodies.map((body) => ({ signed: body, signatures: [] }))];
  test.each(['2.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json'])('%s', async (name) => {
    for (const json of malformed) {
      const run = update(repository({ bare: true }).set(name, serializeUtf8(JSON.stringify(json))));
      await expect(run).rejects.toBeInstanceOf(HallmarkError);
    }
  });
});

describe('GHSA-fphv-w9fq-2525: a threshold that demands nothing', () => {
  test.each([0, -1])('%d', async (threshold) => {
    const roots = [rootOf(KEYS, { ...ROLES, timestamp: { keyids: [], threshold } })];
    await reject(update(repository({ roots })), 'TUF_METADATA_INVALID');
  });
  test('more than there are keys: nobody can meet it', async () => {
    await reject(
      update(repository({ roots: [rootOf(KEYS, { ...ROLES, timestamp: role(2, idOf(ONLINE)) })] })),
      'TUF_SIGNATURE_INVALID',
    );
  });
});

describe('GHSA-jqc5-w2xx-5vq4, GHSA-fcv2-xgw5-pqxf, PYSEC-2021-376: path traversal', () => {
  test('target name', async () => {
    const files = repository({ targets: { list: { '../../a.json': TARGET } } });
    await reject(update(files, { targets: ['../../a.json'] }), 'TUF_TARGET_INVALID');
  });
  test('role name: nothing is stored or fetched under a name that metadata gives', async () => {
    const store = memory();
    const requested: string[] = [];
    const files = repository();
    const targets = files.get('1.targets.json') as Uint8Array;
    const meta = { 'targets.json': { version: 1, length: targets.length }, '../../../evil.json': { version: 1 } };
    const evil = repository({ snapshot: { meta } });
    const fetch: FetchLike = (url) => {
      requested.push(url);
      return mirror(evil)(url);
    };
    await update(evil, { store, fetch });
    expect([...store.files.keys(), ...requested].filter((name) => name.includes('evil'))).toEqual([]);
  });
});

describe('PYSEC-2020-145, -146, -147', () => {
  test('a root that failed its verification is not trusted by the next run', async () => {
    const store = memory();
    const forged = rootFile({ version: 2, root: OTHER, online: OTHER });
    await reject(update(repository({ roots: [rootFile({}), forged] }), { store }), 'TUF_SIGNATURE_INVALID');
    expect([...store.files.keys()].sort()).toEqual(['1.root.json', 'root.json']);
    await reject(update(repository({ timestamp: { key: OTHER } }), { store, root: forged }), 'TUF_SIGNATURE_INVALID');
  });
  test('signatures without end: one for each key is looked at, the count is bounded', async () => {
    const files = repository();
    const file = JSON.parse(text(files.get('1.targets.json')));
    const { keyid, sig } = file.signatures[0];
    const wrong = { keyid, sig: `00${sig.slice(2)}` };
    const replace = (signatures: Json[]): typeof files => {
      const targets = serializeUtf8(JSON.stringify({ ...file, signatures }));
      const meta = { 'targets.json': { version: 1 } };
      return repository({ snapshot: { meta } }).set('1.targets.json', targets);
    };
    expect((await update(replace([{ keyid, sig }, wrong]))).files.size).toBe(1);
    await reject(update(replace([wrong, { keyid, sig }])), 'TUF_SIGNATURE_INVALID');
    await reject(update(replace(Array(MAX_TUF_LIST + 1).fill(wrong))), 'TUF_METADATA_INVALID');
  });
  test('a threshold met twice by one signature', async () => {
    const roots = [rootOf(KEYS, { ...ROLES, targets: role(2, idOf(ONLINE), idOf(ROOT_KEY)) })];
    const files = repository({ roots, bare: true });
    const file = JSON.parse(text(files.get('1.targets.json')));
    const twice = { ...file, signatures: [...file.signatures, ...file.signatures] };
    await reject(update(files.set('1.targets.json', serializeUtf8(JSON.stringify(twice)))), 'TUF_SIGNATURE_INVALID');
    const sig = serializeHex(sign(ROOT_KEY, serializeUtf8(canonicalizeTufJson(file.signed))));
    const both = { ...file, signatures: [...file.signatures, { keyid: idOf(ROOT_KEY), sig }] };
    expect((await update(files.set('1.targets.json', serializeUtf8(JSON.stringify(both))))).files.size).toBe(1);
  });
});

test('endless data: the answer is cut off at its limit, not read into memory', async () => {
  let sent = 0;
  const fetch: FetchLike = async (url) => {
    if (!url.endsWith('timestamp.json')) return mirror(repository())(url);
    return new Response(
      new ReadableStream({
        pull(controller) {
          sent += 1024;
          controller.enqueue(new Uint8Array(1024));
        },
      }),
    );
  };
  await reject(update(repository(), { fetch }), 'SERVICE_ANSWER_INVALID');
  expect(sent).toBeLessThan(MAX_TUF_TIMESTAMP_BYTES + 16 * 1024);
});
