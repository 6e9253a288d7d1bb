import { describe, expect, test } from 'bun:test';
import { parseHex, serializeHex, serializeUtf8 } from '../../bytes/bytes.ts';
import type { Json } from '../../bytes/json.ts';
import { sha256 } from '../../crypto/hash.ts';
import { generateKey } from '../../crypto/private-key.ts';
import { parsePublicKeyPem } from '../../crypto/public-key.ts';
import { isValidSignature } from '../../crypto/verify.ts';
import { canonicalizeTufJson } from './canonical-json.ts';
import { parseRoot, verifyMetadata } from './metadata.ts';
import { publishRepository, type RepositoryFiles, type RepositoryKeys, type RepositoryTarget } from './repository.ts';

const DAY_MS = 86_400_000;
const START = new Date('2026-06-01T12:34:56.789Z');
const after = (days: number): Date => new Date(START.getTime() + days * DAY_MS);
const target = (content: string, name = 'trusted_root.json'): RepositoryTarget => ({
  name,
  bytes: serializeUtf8(content),
});
const KEYS: RepositoryKeys = { root: generateKey('p256'), online: generateKey('p256') };
const FIRST = publishRepository(new Map(), KEYS, [target('one')], START);

const paths = (files: RepositoryFiles): string[] => [...files.keys()];
// biome-ignore lint/suspicious/noExplicitAny: a published file, looked into as a client does
const read = (files: RepositoryFiles, path: string): any => JSON.parse(new TextDecoder().decode(files.get(path)));
const versions = (files: RepositoryFiles): string => {
  const timestamp = read(files, 'timestamp.json').signed;
  const snapshotVersion = timestamp.meta['snapshot.json'].version;
  const targetsVersion = read(files, `${snapshotVersion}.snapshot.json`).signed.meta['targets.json'].version;
  const roots = paths(files).filter((path) => path.endsWith('.root.json')).length;
  return `root ${roots}, timestamp ${timestamp.version}, snapshot ${snapshotVersion}, targets ${targetsVersion}`;
};

describe('the first publication', () => {
  const { files, renewAt } = FIRST;

  test('the files, the timestamp last', () => {
    const hash = serializeHex(sha256(serializeUtf8('one')));
    expect(paths(files)).toEqual([
      '1.root.json',
      `targets/${hash}.trusted_root.json`,
      '1.targets.json',
      '1.snapshot.json',
      'timestamp.json',
    ]);
  });

  test('what clients insist on', () => {
    const { signed } = read(files, '1.root.json');
    expect(signed).toMatchObject({ _type: 'root', spec_version: '1.0.31', version: 1, consistent_snapshot: true });
    expect(signed.expires).toBe('2027-06-01T12:34:56Z');
    for (const [keyid, key] of Object.entries<{ keytype: string; scheme: string; keyval: { public: string } }>(
      signed.keys,
    )) {
      expect(key.keytype).toBe('ecdsa');
      expect(key.scheme).toBe('ecdsa-sha2-nistp256');
      parsePublicKeyPem(key.keyval.public);
      expect(keyid).toBe(serializeHex(sha256(serializeUtf8(canonicalizeTufJson(key as unknown as Json)))));
    }
    expect(Object.values<{ threshold: number }>(signed.roles).map(({ threshold }) => threshold)).toEqual([1, 1, 1, 1]);
  });

  test('the root key signs the root alone, the online key the rest', () => {
    const { signed } = read(files, '1.root.json');
    const [root, online] = [signed.roles.root.keyids, signed.roles.timestamp.keyids];
    expect(root).not.toEqual(online);
    expect([signed.roles.snapshot.keyids, signed.roles.targets.keyids]).toEqual([online, online]);
  });

  test('signatures are DER in hexadecimal over canonical JSON', () => {
    const { signed, signatures } = read(files, 'timestamp.json');
    const message = serializeUtf8(canonicalizeTufJson(signed));
    expect(isValidSignature(KEYS.online.publicKey, 'sha256', message, parseHex(signatures[0].sig))).toBe(true);
  });

  test('targets have a sha256 hash and no other', () => {
    const { targets } = read(files, '1.targets.json').signed;
    expect(Object.keys(targets['trusted_root.json'].hashes)).toEqual(['sha256']);
    expect(targets['trusted_root.json'].custom).toBeUndefined();
  });

  test('renewed when the timestamp is a day old', () => expect(renewAt).toEqual(new Date('2026-06-02T12:34:56Z')));
});

test('a key for older clients says what it is for', () => {
  const legacy = { usage: 'Rekor', status: 'Active', uri: 'http://127.0.0.1:8080' } as const;
  const { files } = publishRepository(new Map(), KEYS, [{ ...target('pem', 'rekor.pub'), legacy }], START);
  expect(read(files, '1.targets.json').signed.targets['rekor.pub'].custom).toEqual({
    sigstore: { usage: 'Rekor', status: 'Active', uri: 'http://127.0.0.1:8080' },
  });
});

test('Ed25519 keys', () => {
  const keys = { root: generateKey('ed25519'), online: generateKey('ed25519') };
  const { files } = publishRepository(new Map(), keys, [target('one')], START);
  const root = parseRoot(files.get('1.root.json') as Uint8Array);
  verifyMetadata(root, root.signed);
  expect(versions(publishRepository(files, keys, [target('one')], after(2)).files)).toBe(
    'root 1, timestamp 2, snapshot 1, targets 1',
  );
});

describe('publishing again', () => {
  const again = (previous: RepositoryFiles, days: number, content = 'one', keys = KEYS): RepositoryFiles =>
    publishRepository(previous, keys, [target(content)], after(days)).files;

  test('nothing changed, nothing due: the same files', () => {
    expect(again(FIRST.files, 0.5)).toEqual(new Map(FIRST.files));
  });
  test('after a day: a new timestamp alone', () => {
    expect(versions(again(FIRST.files, 1.01))).toBe('root 1, timestamp 2, snapshot 1, targets 1');
  });
  test('another target: everything but the root', () => {
    expect(versions(again(FIRST.files, 0.1, 'two'))).toBe('root 1, timestamp 2, snapshot 2, targets 2');
  });
  test('half a year later: everything is renewed, the first root stays', () => {
    const files = again(FIRST.files, 186);
    expect(versions(files)).toBe('root 2, timestamp 2, snapshot 2, targets 2');
    expect(files.get('1.root.json')).toEqual(FIRST.files.get('1.root.json') as Uint8Array);
  });

  test('a client that read the last timestamp still finds what it names; older files go', () => {
    const second = again(FIRST.files, 0.1, 'two');
    for (const path of paths(FIRST.files)) expect(second.has(path)).toBe(true);
    const third = again(second, 0.2, 'three');
    expect(third.has('1.targets.json')).toBe(false);
    expect(third.has('2.targets.json')).toBe(true);
    expect(paths(third).filter((path) => path.startsWith('targets/')).length).toBe(2);
    expect(paths(third).at(-1)).toBe('timestamp.json');
  });

  test('another online key: a new root, signed by the same root key, and everything signed anew', () => {
    const keys = { root: KEYS.root, online: generateKey('p256') };
    const files = again(FIRST.files, 0.1, 'one', keys);
    expect(versions(files)).toBe('root 2, timestamp 2, snapshot 2, targets 2');
    const [first, second] = [1, 2].map((n) => parseRoot(files.get(`${n}.root.json`) as Uint8Array));
    verifyMetadata(second as never, first?.signed as never);
  });

  test('crash after a new root was written: the versions go on', () => {
    const keys = { root: KEYS.root, online: generateKey('p256') };
    const crashed = new Map(FIRST.files);
    crashed.set('2.root.json', again(FIRST.files, 0.1, 'one', keys).get('2.root.json') as Uint8Array);
    expect(versions(again(crashed, 0.2, 'one', keys))).toBe('root 2, timestamp 2, snapshot 2, targets 2');
  });

  test('crash before the first timestamp: as if for the first time, with the root that is there', () => {
    const crashed = new Map([...FIRST.files].filter(([path]) => path !== 'timestamp.json'));
    expect(versions(again(crashed, 0.1))).toBe('root 1, timestamp 1, snapshot 1, targets 1');
  });

  test('another root key: KEY_INVALID', () => {
    const keys = { root: generateKey('p256'), online: KEYS.online };
    expect(() => again(FIRST.files, 0.1, 'one', keys)).toThrow(expect.objectContaining({ code: 'KEY_INVALID' }));
  });

  test.each(['1.targets.json', '1.snapshot.json'])(
    '%s lost: TUF_METADATA_INVALID, never a start from version 1',
    (path) => {
      const lost = new Map([...FIRST.files].filter(([name]) => name !== path));
      expect(() => again(lost, 0.1)).toThrow(expect.objectContaining({ code: 'TUF_METADATA_INVALID' }));
    },
  );

  test('version raised on disk: TUF_METADATA_INVALID', () => {
    const json = read(FIRST.files, 'timestamp.json');
    json.signed.version = 1_000_000;
    const raised = new Map(FIRST.files).set('timestamp.json', serializeUtf8(JSON.stringify(json)));
    expect(() => again(raised, 0.1)).toThrow(expect.objectContaining({ code: 'TUF_METADATA_INVALID' }));
  });
});

test('target name that is not plain', () => {
  expect(() => publishRepository(new Map(), KEYS, [target('x', '../x')], START)).toThrow('internal');
});
