import { describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import type { Json } from '../bytes/json.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { keyFingerprint } from '../crypto/public-key.ts';
import { InputError } from '../errors.ts';
import { MAX_CHAIN_CERTIFICATES, MAX_TRUST_INSTANCES } from '../limits.ts';
import { PUBLIC_GOOD } from './public-good.ts';
import { parseTrustedRoot, requireWellFormed, serializeTrustedRoot, type TrustedRoot } from './trusted-root.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests reach into the document to break it
type Document = any;
const document = (): Document => JSON.parse(PUBLIC_GOOD.trustedRoot);
const parse = (json: Json): TrustedRoot => parseTrustedRoot(serializeUtf8(JSON.stringify(json)));
const reject = (run: () => unknown): void => {
  expect(run).toThrow(InputError);
  expect(run).toThrow(expect.objectContaining({ code: 'TRUSTED_ROOT_INVALID' }));
};
function broken(change: (json: Document) => void): () => TrustedRoot {
  const json = document();
  change(json);
  return () => parse(json);
}

describe('parseTrustedRoot', () => {
  const root = parse(document());

  test('public-good: logs, authorities and their spans', () => {
    expect(root.tlogs.map(({ baseUrl, keyDetails }) => [baseUrl, keyDetails])).toEqual([
      ['https://rekor.sigstore.dev', 'PKIX_ECDSA_P256_SHA_256'],
      ['https://log2025-1.rekor.sigstore.dev', 'PKIX_ED25519'],
    ]);
    expect(root.certificateAuthorities.map(({ chain }) => chain.length)).toEqual([1, 2]);
    expect(root.certificateAuthorities[0]?.subject).toEqual({ organization: 'sigstore.dev', commonName: 'sigstore' });
    expect(root.certificateAuthorities[0]?.validFor).toEqual({
      start: new Date('2021-03-07T03:20:29Z'),
      end: new Date('2022-12-31T23:59:59.999Z'),
    });
    expect(root.certificateAuthorities[1]?.validFor.end).toBeUndefined();
    const [v1] = root.tlogs;
    expect(v1 && serializeHex(v1.logId)).toBe(serializeHex(keyFingerprint(v1?.publicKey as never)));
    requireWellFormed(root);
  });

  test('parse and serialize are inverse', () => {
    const text = serializeTrustedRoot(root);
    expect(serializeTrustedRoot(parseTrustedRoot(serializeUtf8(text)))).toBe(text);
    expect(JSON.parse(text)).toEqual(document());
  });

  test('all trusted roots of the test data', () => {
    const folder = sharedPath('corpus/conformance');
    if (folder === undefined) return console.log('skipped: no test data');
    const files = readdirSync(folder)
      .map((name) => join(folder, name, 'trusted_root.json'))
      .filter((path) => existsSync(path));
    expect(files.length).toBeGreaterThan(20);
    const staging = sharedPath('trust/staging.trusted_root.json');
    for (const path of staging ? [...files, staging] : files) requireWellFormed(parseTrustedRoot(readFileSync(path)));
  });

  test('newer spellings of the media type are read', () => {
    for (const mediaType of [
      'application/vnd.dev.sigstore.trustedroot+json;version=0.2',
      'application/vnd.dev.sigstore.trustedroot.v0.2+json',
    ]) {
      expect(parse({ ...document(), mediaType }).tlogs.length).toBe(2);
    }
  });

  test('unknown members are passed over', () => {
    const newer = broken((json) => {
      json.future = [1];
      json.tlogs[0].operator = 'someone';
      json.tlogs[0].checkpointKeyId = { keyId: 'AAAAAA==' };
    });
    expect(newer().tlogs.length).toBe(2);
  });

  test('a log with an algorithm that is not supported vouches for nothing', () => {
    const weak = broken((json) => {
      json.tlogs[0].publicKey.keyDetails = 'PKCS1_RSA_PKCS1V5';
      json.ctlogs[0].hashAlgorithm = 'SHA2_512';
    })();
    expect([weak.tlogs.length, weak.ctlogs.length]).toEqual([1, 1]);
  });

  // Dropping them all would read as "this instance runs no log", and signatures without any log entry would be accepted.
  test.each(['tlogs', 'ctlogs'])('%s whose algorithms are all unknown do not count as none', (kind) => {
    const unknown = (member: 'keyDetails' | 'hashAlgorithm') =>
      broken((json) => {
        for (const log of json[kind]) {
          if (member === 'keyDetails') log.publicKey.keyDetails = 'PKIX_ML_DSA_65';
          else log.hashAlgorithm = 'SHA3_256';
        }
      });
    reject(unknown('keyDetails'));
    reject(unknown('hashAlgorithm'));
    expect(broken((json) => (json[kind] = []))()).toMatchObject({ [kind]: [] });
  });

  test.each([
    ['no media type', (json: Document) => delete json.mediaType],
    ['media type of something else', (json: Document) => (json.mediaType = 'application/json')],
    ['media type of an unknown version', (json: Document) => (json.mediaType = json.mediaType.replace('0.1', '0.9'))],
    ['logs not in an array', (json: Document) => (json.tlogs = {})],
    ['log without key', (json: Document) => delete json.tlogs[0].publicKey],
    ['log without ID', (json: Document) => delete json.tlogs[0].logId],
    ['log ID not base64', (json: Document) => (json.tlogs[0].logId.keyId = '!')],
    ['time without zone', (json: Document) => (json.tlogs[0].publicKey.validFor.start = '2021-01-12T11:53:27')],
    ['authority without chain', (json: Document) => delete json.certificateAuthorities[0].certChain],
    ['authority with an empty chain', (json: Document) => (json.certificateAuthorities[0].certChain.certificates = [])],
    [
      'chain too long',
      (json: Document) =>
        (json.certificateAuthorities[0].certChain.certificates = Array(MAX_CHAIN_CERTIFICATES + 1).fill({
          rawBytes: '',
        })),
    ],
    ['too many logs', (json: Document) => (json.tlogs = Array(MAX_TRUST_INSTANCES + 1).fill(json.tlogs[0]))],
  ])('%s', (_, change) => reject(broken(change)));

  test('malformed key: refused when it is first used', () => {
    const bad = broken((json) => (json.tlogs[0].publicKey.rawBytes = 'AAAA'))();
    reject(() => bad.tlogs[0]?.publicKey);
    reject(() => requireWellFormed(bad));
  });

  test('key of another kind than it says', () => {
    const bad = broken((json) => (json.tlogs[0].publicKey.keyDetails = 'PKIX_ED25519'))();
    reject(() => bad.tlogs[0]?.publicKey);
  });

  test('malformed certificate: refused when it is first used', () => {
    const bad = broken((json) => (json.timestampAuthorities[0].certChain.certificates[0].rawBytes = 'AAAA'))();
    reject(() => bad.timestampAuthorities[0]?.chain);
    reject(() => requireWellFormed(bad));
  });

  test('duplicate member', () => {
    expect(() => parseTrustedRoot(serializeUtf8('{"mediaType":"a","mediaType":"b"}'))).toThrow(InputError);
  });
});

describe('serializeTrustedRoot', () => {
  const root = parse(document());
  const [log] = root.tlogs;
  if (log === undefined) throw new Error('no log');

  test('start with a fraction of a second is never published', () => {
    const validFor = { start: new Date('2026-01-01T00:00:00.5Z'), end: undefined };
    expect(() => serializeTrustedRoot({ ...root, tlogs: [{ ...log, publicKey: log.publicKey, validFor }] })).toThrow(
      'internal',
    );
  });

  test('URL that ends in a slash is never published', () => {
    const slashed = { ...log, publicKey: log.publicKey, baseUrl: 'http://127.0.0.1:8080/' };
    expect(() => serializeTrustedRoot({ ...root, tlogs: [slashed] })).toThrow('internal');
  });
});
