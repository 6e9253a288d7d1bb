import { describe, expect, test } from 'bun:test';
import { serializeBase64, serializeHex, serializeUtf8 } from '../../bytes/bytes.ts';
import type { Json } from '../../bytes/json.ts';
import { sha256 } from '../../crypto/hash.ts';
import { serializePem } from '../../crypto/pem.ts';
import { generateKey } from '../../crypto/private-key.ts';
import { keyFingerprint, serializePublicKeyPem } from '../../crypto/public-key.ts';
import { parseBundle } from '../bundle.ts';
import { serializeDsseV001, serializeHashedRekordV001 } from '../entry.ts';
import { type JsonObject, sampleBundle, sampleEntry, withChange } from '../testing.ts';
import { type ConvertContext, convertBundles, type ForeignFormat } from './convert.ts';
import type { ConvertedBundle } from './converted.ts';

const encode = (value: Json): Uint8Array => serializeUtf8(JSON.stringify(value));
const convert = (value: Json, format: ForeignFormat | 'auto' = 'auto', context?: ConvertContext): ConvertedBundle[] =>
  convertBundles(encode(value), format, context);
const rejected = (code: string, message: string | RegExp = ''): unknown =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

const PUBLISH = 'https://docs.pypi.org/attestations/publish/v1';
const base64 = (text: string): string => serializeBase64(serializeUtf8(text));
const statement = (change: JsonObject = {}): string =>
  base64(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ name: 'app-1.0.tar.gz', digest: { sha256: '00'.repeat(32) } }],
      predicateType: PUBLISH,
      predicate: null,
      ...change,
    }),
  );
const envelope = (): JsonObject => ({
  payload: statement(),
  payloadType: 'application/vnd.in-toto+json',
  signatures: [{ sig: base64('signature') }],
});
const attestation = (): JsonObject => sampleBundle({ dsseEnvelope: envelope() });
const first = ([converted]: ConvertedBundle[]): ConvertedBundle => {
  if (converted === undefined) throw new Error('internal: nothing converted');
  return converted;
};

describe('answers of attestation endpoints', () => {
  const npm = (): Json => ({
    attestations: [{ predicateType: PUBLISH, bundle: attestation() }, { bundle: sampleBundle() }],
  });

  test('each bundle as it is, and where it was', () => {
    const converted = convert(npm());
    expect(converted.map(({ origin }) => origin)).toEqual(['attestations[0].bundle', 'attestations[1].bundle']);
    expect(converted.map(({ text }) => JSON.parse(text))).toEqual([attestation(), sampleBundle()]);
    expect(converted.map(({ text }) => parseBundle(serializeUtf8(text)))).toEqual(
      converted.map(({ bundle }) => bundle),
    );
    expect(convert(npm(), 'npm')).toEqual(converted);
  });

  test("GitHub's, with members around the bundle", () => {
    const answer = {
      attestations: [{ repository_id: 1, bundle_url: 'https://x', bundle: attestation(), initiator: 'user' }],
    };
    expect(convert(answer, 'github')).toHaveLength(1);
    expect(convert(answer)).toHaveLength(1);
  });

  test.each<[string, Json, RegExp]>([
    ['no attestation', { attestations: [] }, /^attestations: no attestation$/],
    ['attestations that are no list', { attestations: {} }, /expected an array/],
    [
      'an attestation without bundle',
      { attestations: [{ predicateType: PUBLISH }] },
      /^attestations\[0\]\.bundle: missing$/,
    ],
    ['a bundle that is only an address', { attestations: [{ bundle: null, bundle_url: 'https://x' }] }, /address/],
    [
      'a predicate type that is not the signed one',
      { attestations: [{ predicateType: 'x', bundle: attestation() }] },
      /signed/,
    ],
    [
      'a predicate type of a plain signature',
      { attestations: [{ predicateType: PUBLISH, bundle: sampleBundle() }] },
      /signed/,
    ],
    [
      'more attestations than anybody has',
      { attestations: Array.from({ length: 1001 }, () => ({})) },
      /more than 1000/,
    ],
    [
      'a bundle that is malformed',
      { attestations: [{ bundle: { ...attestation(), extra: 1 } }] },
      /^attestations\[0\]\.bundle: extra: unknown field$/,
    ],
  ])('rejects %s', (_, answer, message) => {
    expect(() => convert(answer)).toThrow(rejected('BUNDLE_INVALID', message));
  });
});

describe('one bundle to a line', () => {
  const lines = (...parts: string[]): Uint8Array => serializeUtf8(parts.join('\n'));
  const one = JSON.stringify(attestation());

  test('several, empty lines between, with and without line end', () => {
    for (const input of [lines(one, one), lines(one, '', one, ''), lines(`${one}\r`, one)]) {
      expect(convertBundles(input, 'auto').map(({ text }) => text)).toEqual([one, one]);
      expect(convertBundles(input, 'jsonl')).toHaveLength(2);
    }
    expect(convertBundles(lines(one, '', one), 'auto').map(({ origin }) => origin)).toEqual(['line 1', 'line 3']);
  });

  test('a single one, on a line or indented', () => {
    expect(first(convertBundles(lines(one, ''), 'auto')).text).toBe(one);
    expect(first(convertBundles(serializeUtf8(JSON.stringify(attestation(), null, 2)), 'auto')).text).toBe(one);
  });

  test.each([
    ['an empty file', '', 'BUNDLE_INVALID', /empty/],
    ['a second line that is no bundle', `${one}\n{}`, 'BUNDLE_INVALID', /^line 2: mediaType/],
    ['a second line that is cut off', `${one}\n${one.slice(0, -9)}`, 'JSON_INVALID', /^line 2: /],
    ['a line with a duplicate key', `${one}\n{"a":1,"a":1}`, 'JSON_DUPLICATE_KEY', /^line 2: /],
    ['more bundles than anybody has', `${one}\n`.repeat(1001), 'BUNDLE_INVALID', /more than 1000/],
  ])('rejects %s', (_, text, code, message) => {
    expect(() => convertBundles(serializeUtf8(text), 'jsonl')).toThrow(rejected(code, message));
  });
});

describe('PEP 740', () => {
  const object = (): Json => ({
    version: 1,
    verification_material: { certificate: base64('certificate'), transparency_entries: [sampleEntry()] },
    envelope: { statement: statement(), signature: base64('signature') },
  });
  const provenance = (...attestations: Json[]): Json => ({
    version: 1,
    attestation_bundles: [{ publisher: { kind: 'GitHub', repository: 'o/r' }, attestations }],
  });

  test('an attestation becomes version 0.3', () => {
    const { text, bundle, origin } = first(convert(object()));
    expect(origin).toBe('');
    expect(JSON.parse(text)).toEqual({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: { certificate: { rawBytes: base64('certificate') }, tlogEntries: [sampleEntry()] },
      dsseEnvelope: envelope(),
    });
    expect(bundle.version).toBe('0.3');
  });

  test('a provenance object with attestations of several publishers', () => {
    const both = provenance(object(), object()) as { attestation_bundles: Json[] };
    both.attestation_bundles.push({ publisher: {}, attestations: [object()] });
    expect(convert(both as unknown as Json).map(({ origin }) => origin)).toEqual([
      'attestation_bundles[0].attestations[0]',
      'attestation_bundles[0].attestations[1]',
      'attestation_bundles[1].attestations[0]',
    ]);
  });

  test.each([
    ['app-1.0.tar.gz', 'app-1.0.tar.gz'],
    ['My.App_x-1.0.tar.gz', 'my-app-x-1.0.tar.gz'],
    ['my_app-1.0-1-py3-none-any.whl', 'My.App-1.0-1-py3-none-any.whl'],
  ])('about %s, for the file %s', (name, fileName) => {
    const named = statement({ subject: [{ name, digest: { sha256: '00' } }] });
    expect(convert(withChange(object(), ['envelope', 'statement'], named), 'pep740', { fileName })).toHaveLength(1);
  });

  test.each([
    ['another project', 'other-1.0.tar.gz'],
    ['another version', 'app-1.1.tar.gz'],
    ['another kind of file', 'app-1.0.zip'],
    ['a wheel', 'app-1.0-py3-none-any.whl'],
    ['a path', 'x/app-1.0.tar.gz'],
  ])('rejects a statement about something else than %s', (_, fileName) => {
    expect(() => convert(object(), 'pep740', { fileName })).toThrow(rejected('SUBJECT_MISMATCH'));
    expect(() => convert(provenance(object()), 'pep740', { fileName })).toThrow(
      expect.objectContaining({ evidence: 'attestation_bundles[0].attestations[0].envelope.statement' }),
    );
  });

  const subject = { name: 'app-1.0.tar.gz', digest: { sha256: '00' } };
  test.each<[string, string[], Json | undefined, string, RegExp]>([
    ['no version', ['version'], undefined, 'BUNDLE_INVALID', /^version: missing/],
    ['another version', ['version'], 2, 'BUNDLE_INVALID', /^version/],
    ['no material', ['verification_material'], undefined, 'BUNDLE_INVALID', /not a form/],
    ['no certificate', ['verification_material', 'certificate'], undefined, 'BUNDLE_INVALID', /certificate: missing/],
    ['a certificate that is not base64', ['verification_material', 'certificate'], '*', 'BUNDLE_INVALID', /base64/],
    ['no log entry', ['verification_material', 'transparency_entries'], [], 'BUNDLE_INVALID', /no log entry/],
    [
      'a log entry without proof',
      ['verification_material', 'transparency_entries', '0', 'inclusionProof'],
      undefined,
      'BUNDLE_INVALID',
      /no inclusion proof/,
    ],
    [
      'a log entry with an unknown field',
      ['verification_material', 'transparency_entries', '0', 'x'],
      1,
      'BUNDLE_INVALID',
      /unknown field/,
    ],
    ['unknown material', ['verification_material', 'x'], 1, 'BUNDLE_INVALID', /unknown field/],
    ['no envelope', ['envelope'], undefined, 'BUNDLE_INVALID', /^envelope/],
    ['no signature', ['envelope', 'signature'], undefined, 'BUNDLE_INVALID', /signature: missing/],
    ['an unknown member of the envelope', ['envelope', 'x'], 1, 'BUNDLE_INVALID', /unknown field/],
    ['an unknown member', ['x'], 1, 'BUNDLE_INVALID', /^x: unknown field/],
    ['a statement that is none', ['envelope', 'statement'], base64('{}'), 'STATEMENT_INVALID', /_type/],
    [
      'two subjects',
      ['envelope', 'statement'],
      statement({ subject: [subject, subject] }),
      'BUNDLE_INVALID',
      /2 subjects/,
    ],
    [
      'a subject without name',
      ['envelope', 'statement'],
      statement({ subject: [{ digest: { sha256: '00' } }] }),
      'BUNDLE_INVALID',
      /no name/,
    ],
  ])('rejects %s', (_, path, value, code, message) => {
    expect(() => convert(withChange(object(), path, value))).toThrow(rejected(code, message));
  });

  test.each<[string, string[], Json | undefined, RegExp]>([
    ['no version', ['version'], undefined, /^version: missing/],
    ['no publisher', ['attestation_bundles', '0', 'publisher'], undefined, /publisher/],
    ['no attestation', ['attestation_bundles', '0', 'attestations'], [], /no attestation/],
    [
      'a malformed attestation',
      ['attestation_bundles', '0', 'attestations', '0', 'version'],
      3,
      /^attestation_bundles\[0\]\.attestations\[0\]\.version/,
    ],
    ['an unknown member', ['x'], 1, /^x: unknown field/],
  ])('rejects a provenance object with %s', (_, path, value, message) => {
    expect(() => convert(withChange(provenance(object()), path, value))).toThrow(rejected('BUNDLE_INVALID', message));
  });
});

describe('bundles of cosign 2', () => {
  const certificatePem = serializePem('CERTIFICATE', serializeUtf8('certificate'));
  const digest = sha256(serializeUtf8('artifact'));
  const signature = serializeUtf8('signature');
  const body = serializeHashedRekordV001({ hash: 'sha256', digest, signature, publicKeyPem: certificatePem });
  const rekorBundle = (): JsonObject => ({
    SignedEntryTimestamp: base64('promise'),
    Payload: {
      body: serializeBase64(body),
      integratedTime: 1_700_000_000,
      logIndex: 1000,
      logID: serializeHex(new Uint8Array(32).fill(1)),
    },
  });
  const whole = (): Json => ({
    base64Signature: serializeBase64(signature),
    cert: base64(certificatePem),
    rekorBundle: rekorBundle(),
  });
  const detached = { signature: `${serializeBase64(signature)}\n`, verifier: certificatePem };

  test('becomes version 0.1, with the promise that there is', () => {
    const { text } = first(convert(whole()));
    expect(JSON.parse(text)).toEqual({
      mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
      verificationMaterial: {
        x509CertificateChain: { certificates: [{ rawBytes: base64('certificate') }] },
        tlogEntries: [
          {
            logIndex: '1000',
            logId: { keyId: serializeBase64(new Uint8Array(32).fill(1)) },
            kindVersion: { kind: 'hashedrekord', version: '0.0.1' },
            integratedTime: '1700000000',
            inclusionPromise: { signedEntryTimestamp: base64('promise') },
            canonicalizedBody: serializeBase64(body),
          },
        ],
      },
      messageSignature: {
        messageDigest: { algorithm: 'SHA2_256', digest: serializeBase64(digest) },
        signature: serializeBase64(signature),
      },
    });
  });

  test('signature and certificate in files of their own', () => {
    expect(convert(rekorBundle(), 'auto', { detached })).toEqual(convert(whole()));
    const encoded = { ...detached, verifier: `${base64(certificatePem)}\n` };
    expect(convert(rekorBundle(), 'auto', { detached: encoded })).toEqual(convert(whole()));
  });

  test('signed with a key', () => {
    const { publicKey } = generateKey('p256');
    const { bundle } = first(convert(withChange(whole(), ['cert'], base64(serializePublicKeyPem(publicKey)))));
    expect(bundle.material).toEqual({ kind: 'publicKey', hint: serializeBase64(keyFingerprint(publicKey)) });
  });

  const attested = serializeDsseV001({
    envelopeHash: { hash: 'sha256', digest },
    payloadHash: { hash: 'sha256', digest },
    signatures: [{ signature, verifierPem: certificatePem }],
  });
  test.each<[string, string[], Json | undefined, string, RegExp]>([
    ['no certificate', ['cert'], undefined, 'BUNDLE_INVALID', /^cert: missing/],
    ['a certificate that is not PEM', ['cert'], base64('x'), 'PEM_INVALID', /PEM/],
    ['no log entry', ['rekorBundle'], undefined, 'BUNDLE_INVALID', /^rekorBundle/],
    ['no promise', ['rekorBundle', 'SignedEntryTimestamp'], undefined, 'BUNDLE_INVALID', /SignedEntryTimestamp/],
    ['no time', ['rekorBundle', 'Payload', 'integratedTime'], undefined, 'BUNDLE_INVALID', /integratedTime/],
    ['a log ID in capitals', ['rekorBundle', 'Payload', 'logID'], 'AA', 'BUNDLE_INVALID', /hexadecimal/],
    ['an entry that is none', ['rekorBundle', 'Payload', 'body'], base64('{}'), 'ENTRY_INVALID', /kind/],
    [
      'an entry of an attestation',
      ['rekorBundle', 'Payload', 'body'],
      serializeBase64(attested),
      'ENTRY_INVALID',
      /dsse/,
    ],
    ['a signature that is not base64', ['base64Signature'], '*', 'BUNDLE_INVALID', /signature/],
    ['an unknown member', ['x'], 1, 'BUNDLE_INVALID', /^x: unknown field/],
  ])('rejects %s', (_, path, value, code, message) => {
    expect(() => convert(withChange(whole(), path, value))).toThrow(rejected(code, message));
  });

  test('rejects a signature that is missing, or given twice', () => {
    expect(() => convert(rekorBundle())).toThrow(rejected('BUNDLE_INVALID', /base64Signature: missing/));
    expect(() => convert(whole(), 'auto', { detached })).toThrow(rejected('BUNDLE_INVALID', /there already/));
  });
});

test.each<[string, string, string]>([
  ['what is none of the forms', '{"x":1}', 'BUNDLE_INVALID'],
  ['what is no JSON', 'PK', 'JSON_INVALID'],
  ['what is no object', '[]', 'BUNDLE_INVALID'],
  ['two forms glued together', '{"attestations":[],"attestations":[]}', 'JSON_DUPLICATE_KEY'],
])('rejects %s', (_, text, code) => {
  expect(() => convertBundles(serializeUtf8(text), 'auto')).toThrow(rejected(code));
});

test('rejects a file that is too large, before it is read as text', () => {
  expect(() => convertBundles(new Uint8Array(128 * 1024 * 1024 + 1), 'auto')).toThrow(rejected('INPUT_TOO_LARGE'));
});

test('one form taken for another is refused', () => {
  expect(() => convert({ attestations: [] }, 'pep740')).toThrow(rejected('BUNDLE_INVALID'));
  expect(() => convert(attestation(), 'npm')).toThrow(rejected('BUNDLE_INVALID'));
});
