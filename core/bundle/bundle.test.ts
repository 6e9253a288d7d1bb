import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseUtf8, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import type { Json } from '../bytes/json.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { HallmarkError } from '../errors.ts';
import {
  MAX_BUNDLE_BYTES,
  MAX_CERTIFICATE_BYTES,
  MAX_CHAIN_CERTIFICATES,
  MAX_PROOF_HASHES,
  MAX_TIMESTAMP_BYTES,
  MAX_TIMESTAMPS,
  MAX_TLOG_ENTRIES,
} from '../limits.ts';
import { parseBundle, parseTransparencyLogEntry, serializeBundle, serializeTransparencyLogEntry } from './bundle.ts';
import { parseEntryBody } from './entry.ts';
import { type JsonObject, sampleBundle, sampleEntry, sampleEnvelope, sampleMessage, withChange } from './testing.ts';

const bytesOf = (json: Json): Uint8Array => serializeUtf8(JSON.stringify(json));
const parse = (json: Json) => parseBundle(bytesOf(json));
const change = (path: string, value: Json | undefined, bundle: Json = sampleBundle()): Json =>
  withChange(bundle, path.split('.'), value);

function refusalOf(input: Uint8Array | Json): string {
  try {
    parseBundle(input instanceof Uint8Array ? input : bytesOf(input));
  } catch (error) {
    if (error instanceof HallmarkError) return `${error.code} ${error.message}`;
    throw error;
  }
  return 'accepted';
}

const MATERIAL = 'verificationMaterial';
const ENTRY = `${MATERIAL}.tlogEntries.0`;
const chainBundle = (version: string, certificates: Json): Json => {
  const bundle = change(`${MATERIAL}.certificate`, undefined);
  return change(
    `${MATERIAL}.x509CertificateChain`,
    { certificates },
    change('mediaType', `application/vnd.dev.sigstore.bundle+json;version=${version}`, bundle),
  );
};

describe('parseBundle', () => {
  test('reads everything', () =>
    expect(parse(sampleBundle())).toEqual({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      version: '0.3',
      material: { kind: 'certificates', certificates: [serializeUtf8('certificate')] },
      tlogEntries: [
        {
          logIndex: 1000n,
          logId: new Uint8Array(32).fill(1),
          kindVersion: { kind: 'hashedrekord', version: '0.0.1' },
          integratedTime: 1700000000n,
          inclusionPromise: serializeUtf8('promise'),
          inclusionProof: {
            logIndex: 10n,
            rootHash: new Uint8Array(32).fill(2),
            treeSize: 12n,
            hashes: [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)],
            checkpoint: 'log.example\n12\n',
          },
          canonicalizedBody: serializeUtf8('{}'),
        },
      ],
      timestamps: [serializeUtf8('timestamp')],
      content: {
        kind: 'message',
        digest: { hash: 'sha256', digest: new Uint8Array(32).fill(5) },
        signature: serializeUtf8('signature'),
      },
    }));
  test('reads an envelope', () =>
    expect(parse(sampleBundle({ dsseEnvelope: sampleEnvelope() })).content).toEqual({
      kind: 'dsse',
      envelope: {
        payloadType: 'application/vnd.in-toto+json',
        payload: serializeUtf8('{}'),
        signatures: [{ sig: serializeUtf8('signature'), keyid: 'key' }],
      },
    }));
  test('accepts both spellings of version 0.3', () =>
    expect(parse(change('mediaType', 'application/vnd.dev.sigstore.bundle+json;version=0.3')).version).toBe('0.3'));
  for (const version of ['0.1', '0.2']) {
    test(`reads the chain of version ${version}`, () => {
      const bundle = parse(chainBundle(version, [{ rawBytes: 'MAA=' }, { rawBytes: 'MAE=' }]));
      expect(bundle.version as string).toBe(version);
      expect(bundle.material).toEqual({
        kind: 'certificates',
        certificates: [Uint8Array.of(0x30, 0), Uint8Array.of(0x30, 1)],
      });
    });
  }
  test('reads the hint of a key, or none', () => {
    const keyed = (publicKey: Json) =>
      parse(change(`${MATERIAL}.publicKey`, publicKey, change(`${MATERIAL}.certificate`, undefined))).material;
    expect(keyed({ hint: 'abc' })).toEqual({ kind: 'publicKey', hint: 'abc' });
    expect(keyed({})).toEqual({ kind: 'publicKey', hint: '' });
  });
  test('takes absent, null and default for the same (protojson)', () => {
    for (const path of [`${ENTRY}.integratedTime`, `${ENTRY}.inclusionPromise`, `${ENTRY}.inclusionProof`])
      expect(parse(change(path, null))).toEqual(parse(change(path, undefined)));
    expect(parse(change(`${ENTRY}.integratedTime`, '0'))).toEqual(parse(change(`${ENTRY}.integratedTime`, undefined)));
    expect(parse(change(`${ENTRY}.inclusionProof.logIndex`, undefined)).tlogEntries[0]?.inclusionProof?.logIndex).toBe(
      0n,
    );
    expect(parse(change(`${ENTRY}.logIndex`, 1000))).toEqual(parse(sampleBundle()));
    expect(parse(change(`${MATERIAL}.tlogEntries`, null)).tlogEntries).toEqual([]);
    expect(parse(change(`${MATERIAL}.timestampVerificationData`, {})).timestamps).toEqual([]);
  });
});

describe('parseBundle refuses', () => {
  const many = (count: number, item: Json): Json => Array<Json>(count).fill(item);
  const large = (bytes: number): string => serializeBase64(new Uint8Array(bytes));
  const rawBytes = 'MAA=';
  for (const [flaw, bundle, message] of [
    ['no media type', change('mediaType', undefined), 'BUNDLE_INVALID mediaType: missing'],
    ['another media type', change('mediaType', 'application/json'), 'BUNDLE_VERSION_UNSUPPORTED'],
    [
      'version 0.4',
      change('mediaType', 'application/vnd.dev.sigstore.bundle.v0.4+json'),
      'BUNDLE_VERSION_UNSUPPORTED the media type',
    ],
    [
      'version 0.1 in the spelling of 0.3',
      change('mediaType', 'application/vnd.dev.sigstore.bundle.v0.1+json'),
      'BUNDLE_VERSION_UNSUPPORTED',
    ],
    [
      'a version with a suffix',
      change('mediaType', 'application/vnd.dev.sigstore.bundle.v0.3+json;x'),
      'BUNDLE_VERSION_UNSUPPORTED',
    ],
    ['a media type that every object has', change('mediaType', 'toString'), 'BUNDLE_VERSION_UNSUPPORTED'],
    ['no verification material', change(MATERIAL, undefined), `BUNDLE_INVALID ${MATERIAL}: expected an object`],
    ['neither certificate nor key', change(`${MATERIAL}.certificate`, undefined), 'BUNDLE_INVALID'],
    ['certificate and key', change(`${MATERIAL}.publicKey`, { hint: 'x' }), 'BUNDLE_INVALID'],
    [
      'certificate and chain',
      change(`${MATERIAL}.x509CertificateChain`, { certificates: [{ rawBytes }] }),
      'BUNDLE_INVALID',
    ],
    [
      'a chain in version 0.3',
      chainBundle('0.3', [{ rawBytes }]),
      `BUNDLE_INVALID ${MATERIAL}.x509CertificateChain: a bundle of version 0.3`,
    ],
    [
      'a single certificate in version 0.2',
      change('mediaType', 'application/vnd.dev.sigstore.bundle+json;version=0.2'),
      `BUNDLE_INVALID ${MATERIAL}.certificate: a bundle of version 0.2`,
    ],
    ['an empty chain', chainBundle('0.1', []), `BUNDLE_INVALID ${MATERIAL}.x509CertificateChain: no certificate`],
    ['a chain too long', chainBundle('0.1', many(MAX_CHAIN_CERTIFICATES + 1, { rawBytes })), 'BUNDLE_INVALID'],
    ['an empty certificate', change(`${MATERIAL}.certificate.rawBytes`, ''), 'BUNDLE_INVALID'],
    [
      'a certificate too large',
      change(`${MATERIAL}.certificate.rawBytes`, large(MAX_CERTIFICATE_BYTES + 1)),
      `BUNDLE_INVALID ${MATERIAL}.certificate.rawBytes: more than`,
    ],
    [
      'too many log entries',
      change(`${MATERIAL}.tlogEntries`, many(MAX_TLOG_ENTRIES + 1, sampleEntry())),
      `BUNDLE_INVALID ${MATERIAL}.tlogEntries: more than`,
    ],
    [
      'too many timestamps',
      change(
        `${MATERIAL}.timestampVerificationData.rfc3161Timestamps`,
        many(MAX_TIMESTAMPS + 1, { signedTimestamp: 'AA==' }),
      ),
      `BUNDLE_INVALID ${MATERIAL}.timestampVerificationData.rfc3161Timestamps: more than`,
    ],
    [
      'a timestamp too large',
      change(
        `${MATERIAL}.timestampVerificationData.rfc3161Timestamps.0.signedTimestamp`,
        large(MAX_TIMESTAMP_BYTES + 1),
      ),
      'BUNDLE_INVALID',
    ],
    [
      'neither message nor envelope',
      change('messageSignature', undefined),
      'BUNDLE_INVALID messageSignature: expected either',
    ],
    [
      'message and envelope',
      sampleBundle({ messageSignature: sampleMessage(), dsseEnvelope: sampleEnvelope() }),
      'BUNDLE_INVALID messageSignature: expected either',
    ],
    [
      'an empty signature',
      change('messageSignature.signature', ''),
      'BUNDLE_INVALID messageSignature.signature: empty',
    ],
    [
      'a signature that is not base64',
      change('messageSignature.signature', 'zz$$'),
      'BUNDLE_INVALID messageSignature.signature',
    ],
    ['an unknown digest algorithm', change('messageSignature.messageDigest.algorithm', 'SHA1'), 'BUNDLE_INVALID'],
    ['a digest of the wrong length', change('messageSignature.messageDigest.digest', 'AAAA'), 'BUNDLE_INVALID'],
    ['a negative index', change(`${ENTRY}.logIndex`, '-1'), 'BUNDLE_INVALID'],
    ['an index above 2^63 - 1', change(`${ENTRY}.logIndex`, '9223372036854775808'), 'BUNDLE_INVALID'],
    ['an index with an exponent', change(`${ENTRY}.logIndex`, '1e3'), 'BUNDLE_INVALID'],
    ['a time after the year 9999', change(`${ENTRY}.integratedTime`, '253402300800'), 'BUNDLE_INVALID'],
    ['an empty log ID', change(`${ENTRY}.logId.keyId`, ''), 'BUNDLE_INVALID'],
    ['an empty promise', change(`${ENTRY}.inclusionPromise.signedEntryTimestamp`, ''), 'BUNDLE_INVALID'],
    ['a promise without signature', change(`${ENTRY}.inclusionPromise`, {}), 'BUNDLE_INVALID'],
    ['a root hash of 31 bytes', change(`${ENTRY}.inclusionProof.rootHash`, large(31)), 'BUNDLE_INVALID'],
    [
      'a proof hash of 33 bytes',
      change(`${ENTRY}.inclusionProof.hashes.1`, large(33)),
      `BUNDLE_INVALID ${MATERIAL}.tlogEntries[0].inclusionProof.hashes[1]`,
    ],
    ['a proof hash that is a number', change(`${ENTRY}.inclusionProof.hashes.0`, 7), 'BUNDLE_INVALID'],
    [
      'too many proof hashes',
      change(`${ENTRY}.inclusionProof.hashes`, many(MAX_PROOF_HASHES + 1, large(32))),
      'BUNDLE_INVALID',
    ],
    ['a proof without tree size', change(`${ENTRY}.inclusionProof.treeSize`, undefined), 'BUNDLE_INVALID'],
    ['an empty body', change(`${ENTRY}.canonicalizedBody`, ''), 'BUNDLE_INVALID'],
    [
      'an envelope without signature',
      sampleBundle({ dsseEnvelope: { ...sampleEnvelope(), signatures: [] } }),
      'BUNDLE_INVALID dsseEnvelope.signatures',
    ],
    [
      'the snake_case of protojson',
      change('verification_material', {}),
      'BUNDLE_INVALID verification_material: unknown field',
    ],
    ['a list', [sampleBundle()], 'BUNDLE_INVALID document'],
  ] as [string, Json, string][]) {
    test(flaw, () => expect(refusalOf(bundle)).toStartWith(message));
  }
  test('nothing', () => expect(refusalOf(new Uint8Array())).toStartWith('JSON_INVALID'));
  test('more bytes than the largest bundle', () =>
    expect(refusalOf(new Uint8Array(MAX_BUNDLE_BYTES + 1))).toStartWith('INPUT_TOO_LARGE'));
});

describe('serializeBundle', () => {
  test('writes canonical members in canonical order', () =>
    expect(serializeBundle(parse(sampleBundle()))).toBe(JSON.stringify(sampleBundle())));
  test('is inverted by parseBundle', () => {
    const keyed = change(`${MATERIAL}.publicKey`, { hint: 'h' }, change(`${MATERIAL}.certificate`, undefined));
    for (const json of [
      sampleBundle(),
      sampleBundle({ dsseEnvelope: sampleEnvelope() }),
      keyed,
      change('messageSignature.messageDigest', undefined),
      change(`${MATERIAL}.tlogEntries`, undefined),
      change(`${MATERIAL}.timestampVerificationData`, undefined),
      change(`${ENTRY}.inclusionPromise`, undefined),
      change(`${ENTRY}.integratedTime`, undefined),
    ]) {
      const bundle = parse(json);
      expect(parseBundle(serializeUtf8(serializeBundle(bundle)))).toEqual(bundle);
    }
  });
  test('makes 0.3 of 0.1, with the certificate of the signer alone', () => {
    const written = JSON.parse(
      serializeBundle(parse(chainBundle('0.1', [{ rawBytes: 'MAA=' }, { rawBytes: 'MAE=' }]))),
    );
    expect(written.mediaType).toBe('application/vnd.dev.sigstore.bundle.v0.3+json');
    expect(written.verificationMaterial.certificate).toEqual({ rawBytes: 'MAA=' });
    expect(written.verificationMaterial.x509CertificateChain).toBeUndefined();
  });
  for (const part of ['inclusionProof', 'inclusionProof.checkpoint']) {
    test(`refuses an entry without ${part}`, () =>
      expect(() => serializeBundle(parse(change(`${ENTRY}.${part}`, undefined)))).toThrow('no inclusion proof'));
  }
});

test('a log entry is written as it was read', () => {
  const entry = parseTransparencyLogEntry(new Fields(sampleEntry(), '', 'ENTRY_INVALID'));
  expect(serializeTransparencyLogEntry(entry)).toEqual(sampleEntry());
});

test('the answer of a Rekor v2 log is read', () => {
  // protojson with every member written out.
  const answer: JsonObject = { ...sampleEntry(), logIndex: '0', integratedTime: '0', inclusionPromise: null };
  const entry = parseTransparencyLogEntry(new Fields(answer, '', 'ENTRY_INVALID'));
  expect([entry.logIndex, entry.integratedTime, entry.inclusionPromise]).toEqual([0n, undefined, undefined]);
});

describe('conformance', () => {
  // What the parser itself has to refuse; every other case is for verification, and well-formed.
  const REFUSED: Readonly<Record<string, string>> = {
    'bundle-empty-certificate-chain_fail': 'BUNDLE_INVALID',
    'bundle-invalid-base64-signature_fail': 'BUNDLE_INVALID',
    'bundle-malformed-json_fail': 'JSON_INVALID',
    'bundle-unknown-version_fail': 'BUNDLE_VERSION_UNSUPPORTED',
  };
  const folder = sharedPath('corpus/conformance');
  const cases = folder === undefined ? [] : readdirSync(folder).filter((name) => name !== 'a.txt');
  test.skipIf(folder === undefined)('cases are there', () => expect(cases.length).toBeGreaterThan(30));
  for (const name of cases) {
    test(name, () => {
      const input = readFileSync(join(folder as string, name, 'bundle.sigstore.json'));
      const expected = REFUSED[name];
      expect(refusalOf(new Uint8Array(input))).toStartWith(expected ?? 'accepted');
      if (expected !== undefined) return;
      for (const { kindVersion, canonicalizedBody } of parseBundle(input).tlogEntries) {
        const { kind, version } = parseEntryBody(canonicalizedBody);
        expect({ kind, version } as object).toEqual(kindVersion);
      }
    });
  }
});

describe('bundles of other software', () => {
  const REFUSED = ['missing-cert', 'missing-verification-material'];
  const files = ['js', 'github'].flatMap((name) => {
    const folder = sharedPath(`corpus/bundles/${name}`);
    return folder === undefined ? [] : readdirSync(folder).map((file) => join(folder, file));
  });
  test.skipIf(files.length === 0)('are there', () => expect(files.length).toBeGreaterThan(15));
  for (const file of files) {
    test(file.split('/').slice(-2).join('/'), () => {
      const text = parseUtf8(readFileSync(file));
      const documents = file.endsWith('.jsonl') ? text.trim().split('\n') : [text];
      const expected = REFUSED.some((flaw) => file.includes(`${flaw}.`)) ? 'BUNDLE_INVALID' : 'accepted';
      for (const document of documents) {
        expect(refusalOf(serializeUtf8(document))).toStartWith(expected);
        if (expected !== 'accepted') continue;
        const bundle = parseBundle(serializeUtf8(document));
        for (const { canonicalizedBody } of bundle.tlogEntries) parseEntryBody(canonicalizedBody);
        if (bundle.version !== '0.3') continue;
        const { mediaType: _, ...again } = parseBundle(serializeUtf8(serializeBundle(bundle)));
        expect(bundle).toMatchObject(again);
      }
    });
  }
});
