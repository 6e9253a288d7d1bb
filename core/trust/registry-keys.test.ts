import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import type { Bundle } from '../bundle/bundle.ts';
import { convertBundles } from '../bundle/foreign/convert.ts';
import { parseHex, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import type { Json } from '../bytes/json.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { generateKey } from '../crypto/private-key.ts';
import { type VerifiedBundle, verifyBundle } from '../verify/verify.ts';
import { parseRegistryKeys, type RegistryKey, requireRegistryKey } from './registry-keys.ts';
import { parseTrustedRoot } from './trusted-root.ts';

const key = generateKey('p256').publicKey;
const listed = (change: Record<string, Json> = {}, keyChange: Record<string, Json> = {}): Json => ({
  keyId: 'SHA256:abc',
  keyUsage: 'npm:attestations',
  publicKey: {
    rawBytes: serializeBase64(key.spki),
    keyDetails: 'PKIX_ECDSA_P256_SHA_256',
    validFor: { start: '2022-12-01T00:00:00.000Z', end: '2025-01-29T00:00:00.000Z' },
    ...keyChange,
  },
  ...change,
});
const parse = (...keys: Json[]): RegistryKey[] => parseRegistryKeys(serializeUtf8(JSON.stringify({ keys })));

describe('parse', () => {
  test('a key with its usage and period', () => {
    const [parsed] = parse(listed());
    expect(parsed).toMatchObject({ keyId: 'SHA256:abc', usage: 'npm:attestations' });
    expect(parsed?.key.spki).toEqual(key.spki);
    expect(parsed?.validFor).toEqual({
      start: new Date('2022-12-01T00:00:00Z'),
      end: new Date('2025-01-29T00:00:00Z'),
    });
  });

  test('an open end', () => {
    expect(parse(listed({}, { validFor: { start: '2022-12-01T00:00:00Z' } }))[0]?.validFor.end).toBeUndefined();
  });

  test('the same key for two usages', () => {
    expect(parse(listed(), listed({ keyUsage: 'npm:signatures' }))).toHaveLength(2);
  });

  test('a key of an unknown algorithm and unknown members are passed over', () => {
    expect(parse(listed({}, { keyDetails: 'ML_DSA_65' }), listed({ keyId: 'b', note: 'new' }))).toHaveLength(1);
  });

  test.each<[string, Json[]]>([
    ['no key', []],
    ['key without ID', [listed({ keyId: null })]],
    ['empty key ID', [listed({ keyId: '' })]],
    ['key without usage', [listed({ keyUsage: null })]],
    ['key without bytes', [listed({}, { rawBytes: null })]],
    ['bytes that are no key', [listed({}, { rawBytes: 'AAAA' })]],
    ['key of another kind than it says', [listed({}, { keyDetails: 'PKIX_ED25519' })]],
    ['period that is no time', [listed({}, { validFor: { end: 'yesterday' } })]],
    ['the same key ID twice for one usage', [listed(), listed()]],
    ['more keys than anybody has', Array.from({ length: 257 }, (_, i) => listed({ keyId: `${i}` }))],
  ])('rejects %s', (_, keys) => {
    expect(() => parse(...keys)).toThrow(expect.objectContaining({ code: 'REGISTRY_KEYS_INVALID' }));
  });

  test('rejects a trusted root in its place', () => {
    expect(() => parseRegistryKeys(serializeUtf8('{"mediaType":"x","tlogs":[]}'))).toThrow(
      expect.objectContaining({ code: 'REGISTRY_KEYS_INVALID' }),
    );
  });
});

describe('choose', () => {
  const keys = parse(listed(), listed({ keyId: 'other', keyUsage: 'npm:signatures' }));

  test('by hint and usage', () => {
    expect(requireRegistryKey(keys, 'SHA256:abc', 'npm:attestations')).toBe(keys[0] as RegistryKey);
  });

  test.each([
    ['an unknown hint', 'SHA256:abd'],
    ['an empty hint', ''],
    ['a key that is there for another usage only', 'other'],
  ])('rejects %s', (_, hint) => {
    expect(() => requireRegistryKey(keys, hint, 'npm:attestations')).toThrow(
      expect.objectContaining({ code: 'KEY_MISMATCH' }),
    );
  });
});

const npm = sharedPath('corpus/bundles/npm');
if (npm === undefined) test.skip("skipped: npm's attestations are not beside the checkout", () => {});

// The second attestation of each package is npm's own, about its publication.
describe.if(npm !== undefined)('publish attestations of npm', () => {
  const read = (path: string): Uint8Array => readFileSync(sharedPath(path) as string);
  const keys = npm === undefined ? [] : parseRegistryKeys(read('trust/npm-registry-keys.json'));
  const hintOf = ({ material }: Bundle): string => (material.kind === 'publicKey' ? material.hint : '');
  const chosen = (bundle: Bundle): RegistryKey => requireRegistryKey(keys, hintOf(bundle), 'npm:attestations');
  const published = (file: string): Bundle => {
    const [, converted] = convertBundles(read(`corpus/bundles/npm/${file}`), 'npm');
    if (converted === undefined) throw new Error('internal: no second attestation');
    return converted.bundle;
  };
  const verify = (
    bundle: Bundle,
    sha512: string,
    policy: Pick<RegistryKey, 'key' | 'validFor'> = chosen(bundle),
  ): VerifiedBundle =>
    verifyBundle(bundle, {
      trustedRoot: parseTrustedRoot(read('trust/public-good.trusted_root.json')),
      policy,
      artifact: { digests: { sha512: parseHex(sha512) } },
      predicateType: 'https://github.com/npm/attestation/tree/main/specs/publish/v0.1',
      now: new Date('2026-09-01T00:00:00Z'),
    });
  const rejected = (code: string): unknown => expect.objectContaining({ code });

  describe.each([
    [
      'valid-sigstore-attestations.json',
      'pkg:npm/sigstore@1.0.0',
      '7bea9f6e7ff37f5fab0b36bf061200fff03099fd2fd696b91d04bc5e4f225eb9fd6e0cadcad54ba980f43fb352a99e8810b4e0abeb5c0ef2cf9108cd1f258b36',
    ],
    [
      'valid-tuf-js-attestations.json',
      'pkg:npm/tuf-js@1.0.0',
      'd5dc6c4301120f30022634dd607438c09d5ffe87fb8c02d629f2441d205651007fe544c9531f525ba1875e9e266752af7414490a91a3b2ca0f1468b886fc3cfc',
    ],
  ])('%s', (file, name, sha512) => {
    test('verifies by the key that its hint names, at the time in the log', () => {
      const bundle = published(file);
      const { signer, statement, logEntries } = verify(bundle, sha512);
      expect(signer.kind).toBe('key');
      expect(statement?.subjects).toEqual([{ name, digest: { sha512 } }]);
      // The key is out of use today: it counts that it was not then.
      const { start, end } = chosen(bundle).validFor;
      const at = logEntries[0]?.integratedTime?.getTime() ?? Number.NaN;
      expect(at).toBeGreaterThan(start?.getTime() ?? Number.NaN);
      expect(at).toBeLessThan(end?.getTime() ?? Number.NaN);
    });

    test('rejects another package', () => {
      const other = `${sha512.slice(0, -1)}${sha512.endsWith('0') ? '1' : '0'}`;
      expect(() => verify(published(file), other)).toThrow(rejected('SUBJECT_MISMATCH'));
    });

    test('rejects a key that does not have the hinted ID', () => {
      const bundle: Bundle = { ...published(file), material: { kind: 'publicKey', hint: 'SHA256:unknown' } };
      expect(() => chosen(bundle)).toThrow(rejected('KEY_MISMATCH'));
    });

    test("rejects another of npm's keys", () => {
      const bundle = published(file);
      const other = keys.find(({ keyId, usage }) => usage === 'npm:attestations' && keyId !== hintOf(bundle));
      if (other === undefined) throw new Error('internal: npm has one key');
      // Even where its period would have it.
      const always = { key: other.key, validFor: { start: undefined, end: undefined } };
      expect(() => verify(bundle, sha512, always)).toThrow(rejected('KEY_MISMATCH'));
      expect(() => verify(bundle, sha512, other)).toThrow(rejected('KEY_EXPIRED'));
    });

    test('rejects a key that was out of use when the log took the entry', () => {
      const bundle = published(file);
      const { key: sameKey, validFor } = chosen(bundle);
      const expired = { start: validFor.start, end: new Date('2023-02-09T00:00:00Z') };
      expect(() => verify(bundle, sha512, { key: sameKey, validFor: expired })).toThrow(rejected('KEY_EXPIRED'));
      const later = { start: new Date('2023-02-10T00:00:00Z'), end: undefined };
      expect(() => verify(bundle, sha512, { key: sameKey, validFor: later })).toThrow(rejected('KEY_EXPIRED'));
    });

    test('rejects a statement that npm did not sign', () => {
      const { content, ...rest } = published(file);
      if (content.kind !== 'dsse') throw new Error('internal: no envelope');
      const payload = serializeUtf8(Buffer.from(content.envelope.payload).toString().replace('registry.npmjs', 'evil'));
      const bundle: Bundle = { ...rest, content: { kind: 'dsse', envelope: { ...content.envelope, payload } } };
      expect(() => verify(bundle, sha512)).toThrow(rejected('LOG_ENTRY_MISMATCH'));
    });
  });

  test('provenance, the first attestation, is not for a key', () => {
    const [first] = convertBundles(read('corpus/bundles/npm/valid-sigstore-attestations.json'), 'npm');
    const { bundle } = first as { bundle: Bundle };
    expect(() => verify(bundle, '00', keys[1])).toThrow(rejected('KEY_MISMATCH'));
  });
});
