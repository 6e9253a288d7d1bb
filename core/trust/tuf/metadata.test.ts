import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { serializeHex, serializeUtf8 } from '../../bytes/bytes.ts';
import type { Json } from '../../bytes/json.ts';
import { sharedPath } from '../../bytes/shared-data.ts';
import { generateKey, type PrivateKey, sign } from '../../crypto/private-key.ts';
import { canonicalizeTufJson } from './canonical-json.ts';
import { serializeTufKey } from './keys.ts';
import { parseRoot, parseSnapshot, parseTargets, parseTimestamp, type Root, verifyMetadata } from './metadata.ts';

const invalid = (run: () => unknown): void =>
  expect(run).toThrow(expect.objectContaining({ code: 'TUF_METADATA_INVALID' }));
const unsigned = (run: () => unknown): void =>
  expect(run).toThrow(expect.objectContaining({ code: 'TUF_SIGNATURE_INVALID' }));

describe('canonicalizeTufJson', () => {
  test.each<[string, Json, string]>([
    [
      'members by code point',
      { b: 1, a: [true, null], '\u{1f600}': 0, '\uffee': 0 },
      '{"a":[true,null],"b":1,"\uffee":0,"\u{1f600}":0}',
    ],
    ['only quote and backslash escaped', 'a"b\\c\nd\u0001', '"a\\"b\\\\c\nd\u0001"'],
    ['empty', { a: {}, b: [] }, '{"a":{},"b":[]}'],
    ['negative', -5, '-5'],
  ])('%s', (_, value, text) => expect(canonicalizeTufJson(value)).toBe(text));

  test('fraction', () => invalid(() => canonicalizeTufJson(1.5)));
  test('number that is not exact', () => invalid(() => canonicalizeTufJson(2 ** 60)));
});

describe('the public-good repository', () => {
  const folder = sharedPath('trust/tuf-public-good');
  const read = (name: string): Uint8Array => readFileSync(`${folder}/${name}`);

  test('fifteen roots, each signed by the one before and by itself', () => {
    if (folder === undefined) return console.log('skipped: no test data');
    let before: Root | undefined;
    for (let version = 1; version <= 15; version++) {
      const root = parseRoot(read(`root_history/${version}.root.json`));
      verifyMetadata(root, root.signed);
      if (before !== undefined) verifyMetadata(root, before);
      expect(root.signed.version).toBe(version);
      before = root.signed;
    }
  });

  test('a root does not skip its predecessor’s signers', () => {
    if (folder === undefined) return console.log('skipped: no test data');
    const first = parseRoot(read('root_history/1.root.json')).signed;
    unsigned(() => verifyMetadata(parseRoot(read('root_history/15.root.json')), first));
  });

  test('timestamp, snapshot and targets are signed', () => {
    if (folder === undefined) return console.log('skipped: no test data');
    const root = parseRoot(read('root.json')).signed;
    for (const metadata of [
      parseTimestamp(read('timestamp.json')),
      parseSnapshot(read('snapshot.json')),
      parseTargets(read('targets.json')),
    ]) {
      verifyMetadata(metadata, root);
    }
  });

  test('one changed byte', () => {
    if (folder === undefined) return console.log('skipped: no test data');
    const root = parseRoot(read('root.json')).signed;
    const json = JSON.parse(new TextDecoder().decode(read('timestamp.json')));
    json.signed.version++;
    unsigned(() => verifyMetadata(parseTimestamp(serializeUtf8(JSON.stringify(json))), root));
  });
});

// biome-ignore lint/suspicious/noExplicitAny: tests reach into the document to break it
type Document = any;
const [a, b, c] = [generateKey('p256'), generateKey('ed25519'), generateKey('p256')];
const keysOf = (...keys: PrivateKey[]): Record<string, Json> =>
  Object.fromEntries(keys.map(({ publicKey }) => [serializeTufKey(publicKey).keyid, serializeTufKey(publicKey).json]));
const idOf = (key: PrivateKey): string => serializeTufKey(key.publicKey).keyid;

function rootSigned(change: (signed: Document) => void = () => {}): Document {
  const role = (): Json => ({ keyids: [idOf(a), idOf(b)], threshold: 2 });
  const signed = {
    _type: 'root',
    spec_version: '1.0.31',
    version: 1,
    expires: '2027-01-01T00:00:00Z',
    consistent_snapshot: true,
    keys: keysOf(a, b),
    roles: { root: role(), timestamp: role(), snapshot: role(), targets: role() },
  };
  change(signed);
  return signed;
}

function signedFile(signed: Json, ...signers: [keyid: string, key: PrivateKey][]): Uint8Array {
  const message = serializeUtf8(canonicalizeTufJson(signed));
  const signatures = signers.map(([keyid, key]) => ({ keyid, sig: serializeHex(sign(key, message)) }));
  return serializeUtf8(JSON.stringify({ signatures, signed }));
}

describe('verifyMetadata', () => {
  const verify = (signed: Json, ...signers: [string, PrivateKey][]): void => {
    const root = parseRoot(signedFile(signed, ...signers));
    verifyMetadata(root, root.signed);
  };

  test('threshold of two met by two', () => verify(rootSigned(), [idOf(a), a], [idOf(b), b]));
  test('threshold met twice by one signature', () => unsigned(() => verify(rootSigned(), [idOf(a), a], [idOf(a), a])));

  test('threshold met twice by one key under two IDs', () => {
    const signed = rootSigned((root) => {
      root.keys.alias = root.keys[idOf(a)];
      root.roles.root.keyids = [idOf(a), 'alias'];
    });
    unsigned(() => verify(signed, [idOf(a), a], ['alias', a]));
  });

  test('threshold met twice by one key in two spellings', () => {
    const signed = rootSigned((root) => {
      const point = serializeHex(a.publicKey.spki.subarray(-65));
      root.keys.alias = { keytype: 'ecdsa-sha2-nistp256', scheme: 'ecdsa-sha2-nistp256', keyval: { public: point } };
      root.roles.root.keyids = [idOf(a), 'alias'];
    });
    unsigned(() => verify(signed, [idOf(a), a], ['alias', a]));
  });

  test('signature of a key that is not in the role', () => {
    const signed = rootSigned((root) => Object.assign(root.keys, keysOf(c)));
    unsigned(() => verify(signed, [idOf(a), a], [idOf(c), c]));
  });
  test('signature of a key that is not listed', () => unsigned(() => verify(rootSigned(), [idOf(a), a], [idOf(c), c])));
  test('signature under another key’s ID', () => unsigned(() => verify(rootSigned(), [idOf(a), a], [idOf(b), a])));
  test('no signature', () => unsigned(() => verify(rootSigned())));

  test('empty signature, as signing tools leave it for who has not signed yet, does not count', () => {
    const file = JSON.parse(new TextDecoder().decode(signedFile(rootSigned(), [idOf(a), a])));
    file.signatures.push({ keyid: idOf(b), sig: '' });
    const root = parseRoot(serializeUtf8(JSON.stringify(file)));
    unsigned(() => verifyMetadata(root, root.signed));
  });

  test('key of a kind that is not supported is passed over', () => {
    const signed = rootSigned((root) => {
      root.keys.rsa = { keytype: 'rsa', scheme: 'rsassa-pss-sha256', keyval: { public: '-' } };
      root.keys.odd = { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: 'not a key' } };
      root.roles.root.keyids.push('rsa', 'odd');
    });
    verify(signed, ['rsa', a], ['odd', b], [idOf(a), a], [idOf(b), b]);
  });

  test('members that are not known are covered by the signature', () => {
    const signed = rootSigned((root) => (root.future = { x: 1 }));
    verify(signed, [idOf(a), a], [idOf(b), b]);
    const file = JSON.parse(new TextDecoder().decode(signedFile(signed, [idOf(a), a], [idOf(b), b])));
    file.signed.future.x = 2;
    const root = parseRoot(serializeUtf8(JSON.stringify(file)));
    unsigned(() => verifyMetadata(root, root.signed));
  });
});

describe('parsing', () => {
  test.each([
    ['another role', (root: Document) => (root._type = 'targets')],
    ['specification version 2', (root: Document) => (root.spec_version = '2.0.0')],
    ['version 0', (root: Document) => (root.version = 0)],
    ['version as text', (root: Document) => (root.version = '1')],
    ['no expiry', (root: Document) => delete root.expires],
    ['expiry without zone', (root: Document) => (root.expires = '2027-01-01T00:00:00')],
    ['role missing', (root: Document) => delete root.roles.snapshot],
    ['threshold 0', (root: Document) => (root.roles.targets.threshold = 0)],
    ['key named twice in a role', (root: Document) => root.roles.root.keyids.push(idOf(a))],
    ['role names a key that is not listed', (root: Document) => root.roles.root.keyids.push('none')],
    ['fraction somewhere', (root: Document) => (root.future = 0.5)],
  ])('%s', (_, change) => invalid(() => parseRoot(signedFile(rootSigned(change)))));

  test('signature not in hexadecimal', () => {
    const signatures = [{ keyid: 'x', sig: 'zz' }];
    invalid(() => parseRoot(serializeUtf8(JSON.stringify({ signatures, signed: rootSigned() }))));
  });
  test('duplicate member', () => invalid(() => parseRoot(serializeUtf8('{"signed":{},"signed":{}}'))));
  test('not JSON', () => invalid(() => parseRoot(serializeUtf8('<html>'))));

  const targetsWith = (target: Json): Uint8Array =>
    signedFile({
      _type: 'targets',
      spec_version: '1.0',
      version: 1,
      expires: '2027-01-01T00:00:00Z',
      targets: { x: target },
    });
  test.each<[string, Json]>([
    ['target without hash', { length: 1, hashes: {} }],
    ['target with an unknown hash alone', { length: 1, hashes: { md5: '00' } }],
    ['hash too short', { length: 1, hashes: { sha256: '00' } }],
    ['hash in capitals', { length: 1, hashes: { sha256: 'A'.repeat(64) } }],
    ['target without length', { hashes: { sha256: 'a'.repeat(64) } }],
    ['negative length', { length: -1, hashes: { sha256: 'a'.repeat(64) } }],
  ])('%s', (_, target) => invalid(() => parseTargets(targetsWith(target))));
});
