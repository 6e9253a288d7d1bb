import { describe, expect, test } from 'bun:test';
import { parseUtf8, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import type { Json } from '../bytes/json.ts';
import { InputError } from '../errors.ts';
import { parseBundle } from './bundle.ts';
import { parseEntryBody, serializeDsseV001, serializeHashedRekordV002 } from './entry.ts';
import { type JsonObject, pathsOf, sampleBundle, sampleEnvelope, withChange } from './testing.ts';

/** The code of the InputError, 'accepted', or a failed test for every other error. */
function refusalOf(parse: (input: Uint8Array) => unknown, text: string | Uint8Array): string {
  try {
    parse(typeof text === 'string' ? serializeUtf8(text) : text);
  } catch (error) {
    if (error instanceof InputError) return error.code;
    throw error;
  }
  return 'accepted';
}

const VALUES: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1.5,
  1e300,
  '',
  'zz$$',
  '\ud800',
  [],
  {},
  [[]],
  [null],
  ['AA=='],
  { a: 1 },
];

/** `json` with the member at the path written twice. */
function withDuplicate(json: Json, path: readonly string[]): string {
  const text = JSON.stringify(withChange(json, [...path.slice(0, -1), '%duplicate%'], 0));
  return text.replace('"%duplicate%"', JSON.stringify(path.at(-1)));
}

const isMember = (json: Json, path: readonly string[]): boolean =>
  !Array.isArray(path.slice(0, -1).reduce<Json>((inner, step) => (inner as JsonObject)[step] as Json, json));

const digest = new Uint8Array(32);
const signature = Uint8Array.of(1);
const DOCUMENTS: readonly [string, (input: Uint8Array) => unknown, Json, readonly string[]][] = [
  [
    'a bundle of a message',
    parseBundle,
    sampleBundle(),
    [
      'messageSignature.messageDigest',
      'verificationMaterial.timestampVerificationData',
      'verificationMaterial.timestampVerificationData.rfc3161Timestamps',
      'verificationMaterial.timestampVerificationData.rfc3161Timestamps.0',
      'verificationMaterial.tlogEntries',
      'verificationMaterial.tlogEntries.0',
      'verificationMaterial.tlogEntries.0.inclusionPromise',
      'verificationMaterial.tlogEntries.0.inclusionProof',
      'verificationMaterial.tlogEntries.0.inclusionProof.checkpoint',
      'verificationMaterial.tlogEntries.0.inclusionProof.checkpoint.envelope',
      'verificationMaterial.tlogEntries.0.inclusionProof.hashes',
      'verificationMaterial.tlogEntries.0.inclusionProof.hashes.0',
      'verificationMaterial.tlogEntries.0.inclusionProof.hashes.1',
      'verificationMaterial.tlogEntries.0.inclusionProof.logIndex',
      'verificationMaterial.tlogEntries.0.integratedTime',
      'verificationMaterial.tlogEntries.0.logIndex',
    ],
  ],
  [
    'an envelope in a bundle',
    (input) => parseBundle(serializeUtf8(JSON.stringify(sampleBundle({ dsseEnvelope: JSON.parse(parseUtf8(input)) })))),
    sampleEnvelope(),
    ['signatures.0.keyid'],
  ],
  [
    'a body dsse 0.0.1',
    parseEntryBody,
    JSON.parse(
      parseUtf8(
        serializeDsseV001({
          envelopeHash: { hash: 'sha256', digest },
          payloadHash: { hash: 'sha256', digest },
          signatures: [{ signature, verifierPem: 'PEM' }],
        }),
      ),
    ),
    [],
  ],
  [
    'a body hashedrekord 0.0.2',
    parseEntryBody,
    JSON.parse(
      parseUtf8(
        serializeHashedRekordV002({
          hash: 'sha256',
          digest,
          signature,
          verifier: { publicKey: signature },
          keyDetails: 'PKIX_ECDSA_P256_SHA_256',
        }),
      ),
    ),
    [],
  ],
];

for (const [name, parse, json, optional] of DOCUMENTS) {
  describe(name, () => {
    const paths = pathsOf(json);
    test('is accepted', () => expect(refusalOf(parse, JSON.stringify(json))).toBe('accepted'));
    test('without any one part is refused, except for the optional ones', () => {
      const accepted = paths
        .filter((path) => refusalOf(parse, JSON.stringify(withChange(json, path, undefined))) === 'accepted')
        .map((path) => path.join('.'));
      expect(accepted.sort()).toEqual(optional.toSorted());
    });
    test('with a part of another type ends in an InputError at worst', () => {
      for (const path of paths)
        for (const value of VALUES) refusalOf(parse, JSON.stringify(withChange(json, path, value)));
    });
    test('with an unknown member in any object is refused', () => {
      const objects = [[], ...paths].filter((path) => isMember(json, [...path, 'x']));
      for (const path of objects) {
        const inner = path.reduce<Json>((value, step) => (value as JsonObject)[step] as Json, json);
        if (inner === null || typeof inner !== 'object') continue;
        expect([path, refusalOf(parse, JSON.stringify(withChange(json, [...path, 'unknown'], 1)))]).not.toContain(
          'accepted',
        );
      }
    });
    if (!name.startsWith('an envelope')) {
      test('with any member twice is refused', () => {
        for (const path of paths.filter((member) => isMember(json, member)))
          expect([path, refusalOf(parse, withDuplicate(json, path))]).toEqual([path, 'JSON_DUPLICATE_KEY']);
      });
    }
    test('cut anywhere is refused', () => {
      const text = JSON.stringify(json);
      if (name.startsWith('an envelope')) return;
      for (let length = 0; length < text.length; length += 7)
        expect(refusalOf(parse, text.slice(0, length))).toBe('JSON_INVALID');
    });
  });
}

describe('bounded time', () => {
  const within = (milliseconds: number, run: () => void): void => {
    const start = performance.now();
    run();
    expect(performance.now() - start).toBeLessThan(milliseconds);
  };
  const MEBIBYTE = 1024 * 1024;
  const bundle = JSON.stringify(sampleBundle());
  for (const [shape, text] of [
    ['brackets', '['.repeat(8 * MEBIBYTE)],
    ['members in members', '{"a":'.repeat(MEBIBYTE)],
    ['keys', `{${Array.from({ length: 200_000 }, (_, i) => `"k${i}":0`).join(',')}}`],
    ['log entries', bundle.replace('"tlogEntries":[', `"tlogEntries":[${'{},'.repeat(500_000)}`)],
    ['proof hashes', bundle.replace('"hashes":[', `"hashes":[${'"",'.repeat(500_000)}`)],
    ['one long string', bundle.replace('"signature":"', `"signature":"${'%'.repeat(16 * MEBIBYTE)}`)],
    ['backslashes', bundle.replace('"signature":"', `"signature":"${'\\'.repeat(4 * MEBIBYTE)}`)],
    ['quotes after backslashes', `["${'\\"'.repeat(2 * MEBIBYTE)}`],
  ] as const) {
    test(shape, () => within(3000, () => expect(refusalOf(parseBundle, text)).not.toBe('accepted')));
  }
  test('an envelope of 16 MiB is accepted', () => {
    const payload = serializeBase64(new Uint8Array(16 * MEBIBYTE));
    const text = JSON.stringify(sampleBundle({ dsseEnvelope: { ...sampleEnvelope(), payload } }));
    within(3000, () => expect(refusalOf(parseBundle, text)).toBe('accepted'));
  });
});

test('random bytes in a bundle end in an InputError at worst', () => {
  // A fixed seed: mulberry32.
  let state = 0x5eed;
  const random = (below: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
  const original = serializeUtf8(JSON.stringify(sampleBundle()));
  for (let round = 0; round < 2000; round++) {
    const bytes = Uint8Array.from(original);
    for (let i = random(4); i >= 0; i--) bytes[random(bytes.length)] = random(256);
    refusalOf(parseBundle, bytes);
  }
});
