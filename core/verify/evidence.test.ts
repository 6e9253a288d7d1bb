// Every rejection says in which step it was made and where in the bundle its evidence is.
import { describe, expect, test } from 'bun:test';
import { type Bundle, parseBundle, type TransparencyLogEntry } from '../bundle/bundle.ts';
import { serializeHashedRekordV001 } from '../bundle/entry.ts';
import { serializeUtf8 } from '../bytes/bytes.ts';
import { sha256 } from '../crypto/hash.ts';
import { generateKey } from '../crypto/private-key.ts';
import type { ErrorCode, VerificationStep } from '../errors.ts';
import { errorOf } from '../testing.ts';
import { keyOf } from '../x509/testing.ts';
import { requiredHashes } from './artifact.ts';
import { exactly as exactText } from './matcher.ts';
import type { Policy } from './signer.ts';
import {
  type Case,
  caseOf,
  keyAttested,
  keySigned,
  SAMPLES,
  verify,
  withBundle,
  withEntry,
  withOptions,
  withRoot,
} from './testing-cases.ts';
import { exactly, NOW, parsedBundle, wholeArtifact } from './testing-corpus.ts';
import { ownEntry, ownLog } from './testing-own-log.ts';

const IN_TOTO = 'application/vnd.in-toto+json';
const ARTIFACT = serializeUtf8('artifact');
const NONSENSE = serializeUtf8('x');
const ENTRY = 'verificationMaterial.tlogEntries[0]';
const STAMP = 'verificationMaterial.timestampVerificationData.rfc3161Timestamps[0]';
const PROOF = `${ENTRY}.inclusionProof`;

type Finding = [code: ErrorCode, step: VerificationStep, evidence: string];

const findingOf = (run: () => unknown): Finding => {
  const { code, step, evidence } = errorOf(run) as unknown as Record<'code' | 'step' | 'evidence', string>;
  return [code as ErrorCode, step as VerificationStep, evidence];
};

describe('a bundle that cannot be parsed', () => {
  const text = JSON.stringify({ mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json', verificationMaterial: {} });
  test.each<[...Finding, string]>([
    ['JSON_INVALID', 'parse', 'bundle', '{'],
    ['JSON_DUPLICATE_KEY', 'parse', 'bundle', '{"a":1,"a":2}'],
    ['JSON_TOO_DEEP', 'parse', 'bundle', '['.repeat(10_000)],
    ['INPUT_TOO_LARGE', 'parse', 'bundle', `[${'0,'.repeat(1_000_000)}0]`],
    ['BUNDLE_INVALID', 'parse', 'bundle', '[]'],
    ['BUNDLE_INVALID', 'parse', 'mediaType', '{}'],
    ['BUNDLE_VERSION_UNSUPPORTED', 'parse', 'mediaType', '{"mediaType":"x"}'],
    ['BUNDLE_INVALID', 'parse', 'verificationMaterial.certificate', text],
  ])('%s at %s %s', (code, step, evidence, input) => {
    expect(findingOf(() => parseBundle(serializeUtf8(input)))).toEqual([code, step, evidence]);
  });
});

describe('signed with a key', () => {
  const key = keyOf('signer');
  const signed = keySigned(key, ARTIFACT);
  const as = (policy: Policy): Case => withOptions(signed, { policy });
  const log = generateKey('p256');
  const loggedWith = (publicKeyPem: string): Case => {
    const { content } = signed.bundle;
    const signature = content.kind === 'message' ? content.signature : NONSENSE;
    const body = serializeHashedRekordV001({ hash: 'sha256', digest: sha256(ARTIFACT), signature, publicKeyPem });
    return withRoot(withBundle(signed, { tlogEntries: [ownEntry(log, body)] }), { tlogs: [ownLog(log)] });
  };
  const pin = (signer: object, provenance = false) =>
    as({ pins: new Map([['app', { signer, provenance }]]) as never, name: 'app' });
  const identities = [{ issuer: exactText('i'), subjectAlternativeName: exactText('n') }];

  test.each<[...Finding, () => Case]>([
    ['SIGNATURE_INVALID', 'signature', 'messageSignature.signature', () => as({ key: keyOf('other').publicKey })],
    ['KEY_MISMATCH', 'parse', 'verificationMaterial.publicKey', () => as({ identities })],
    ['KEY_MISMATCH', 'parse', 'verificationMaterial.publicKey.hint', () => as({ registryKeys: [] })],
    [
      'KEY_EXPIRED',
      'certificate',
      'verificationMaterial.publicKey',
      () => as({ key: key.publicKey, validFor: { start: undefined, end: new Date(0) } }),
    ],
    ['PIN_MISSING', 'policy', 'verificationMaterial', () => as({ pins: new Map() })],
    ['PIN_MISSING', 'policy', 'verificationMaterial', () => as({ pins: new Map(), name: 'app' })],
    [
      'SIGNER_CHANGED',
      'policy',
      'verificationMaterial',
      () => pin({ kind: 'certificate', issuer: 'i', subjectAlternativeName: 'n' }),
    ],
    ['PROVENANCE_LOST', 'policy', 'messageSignature', () => pin({ kind: 'key', key: key.publicKey }, true)],
    [
      'POLICY_MISMATCH',
      'policy',
      'verificationMaterial',
      () =>
        as({
          rules: [
            { name: 'r', identities: [], keys: [key.publicKey], predicateTypes: ['https://a.example'], conditions: [] },
          ],
        }),
    ],
    [
      'PREDICATE_TYPE_UNEXPECTED',
      'signature',
      'messageSignature',
      () => withOptions(signed, { predicateType: 'https://a.example' }),
    ],
    [
      'DIGEST_MISMATCH',
      'signature',
      'messageSignature.signature',
      () => withOptions(signed, { artifact: { digests: {} } }),
    ],
    ['PEM_INVALID', 'log', `${ENTRY}.canonicalizedBody`, () => loggedWith('-----BEGIN PUBLIC KEY-----')],
    [
      'STATEMENT_INVALID',
      'signature',
      'dsseEnvelope.payload',
      () => keyAttested(key, ARTIFACT, IN_TOTO, serializeUtf8('{}')),
    ],
    ['JSON_INVALID', 'signature', 'dsseEnvelope.payload', () => keyAttested(key, ARTIFACT, IN_TOTO, NONSENSE)],
    [
      'PAYLOAD_TYPE_UNEXPECTED',
      'signature',
      'dsseEnvelope.payloadType',
      () => keyAttested(key, ARTIFACT, 'text/plain', NONSENSE),
    ],
  ])('%s in step %s, at %s', (code, step, evidence, make) => {
    expect(findingOf(() => verify(make()))).toEqual([code, step, evidence]);
  });

  test('STATEMENT_INVALID where it is asked which digests are needed', () => {
    const { bundle } = keyAttested(key, ARTIFACT, IN_TOTO, serializeUtf8('{}'));
    expect(findingOf(() => requiredHashes(bundle))).toEqual(['STATEMENT_INVALID', 'signature', 'dsseEnvelope.payload']);
  });
});

describe.if(SAMPLES.length > 0)('signed with a certificate', () => {
  const good = (): Case => caseOf('happy-path-v0.3');
  const [entry] = SAMPLES.length > 0 ? good().bundle.tlogEntries : [];
  const proof = (change: Partial<NonNullable<TransparencyLogEntry['inclusionProof']>>): Case =>
    withEntry(good(), {
      inclusionProof: { ...(entry?.inclusionProof as NonNullable<typeof entry>['inclusionProof'] & object), ...change },
    });
  const certificates = (...list: Uint8Array[]): Partial<Bundle> => ({
    material: { kind: 'certificates', certificates: list },
  });
  const leaf = (): Uint8Array => {
    const { material } = good().bundle;
    return material.kind === 'certificates' ? (material.certificates[0] as Uint8Array) : NONSENSE;
  };
  const checkpoint = (): string => entry?.inclusionProof?.checkpoint ?? '';

  test.each<[...Finding, () => Case]>([
    [
      'CERTIFICATE_INVALID',
      'certificate',
      'verificationMaterial.certificate',
      () => withBundle(good(), certificates(NONSENSE)),
    ],
    [
      'CERTIFICATE_INVALID',
      'certificate',
      'verificationMaterial.x509CertificateChain.certificates[1]',
      () => withBundle(good(), certificates(leaf(), NONSENSE)),
    ],
    [
      'CERTIFICATE_UNTRUSTED',
      'certificate',
      'verificationMaterial.certificate',
      () => withRoot(good(), { certificateAuthorities: [] }),
    ],
    [
      'SCT_INVALID',
      'certificate',
      'verificationMaterial.certificate',
      () => withRoot(good(), { ctlogs: [ownLog(generateKey('p256'))] }),
    ],
    ['TIMESTAMP_INVALID', 'time', STAMP, () => withBundle(good(), { timestamps: [NONSENSE] })],
    ['TIME_MISSING', 'time', 'verificationMaterial', () => withEntry(good(), { inclusionPromise: undefined })],
    ['SET_INVALID', 'log', `${ENTRY}.inclusionPromise`, () => withEntry(good(), { inclusionPromise: NONSENSE })],
    ['SET_INVALID', 'log', `${ENTRY}.integratedTime`, () => withEntry(good(), { integratedTime: undefined })],
    ['ENTRY_INVALID', 'log', ENTRY, () => withEntry(good(), { logIndex: 2n ** 60n })],
    ['LOG_UNKNOWN', 'log', `${ENTRY}.logId`, () => withRoot(good(), { tlogs: [] })],
    [
      'LOG_ENTRY_MISSING',
      'log',
      'verificationMaterial.tlogEntries',
      () => withOptions(good(), { thresholds: { logs: 2 } }),
    ],
    [
      'LOG_ENTRY_DUPLICATE',
      'log',
      'verificationMaterial.tlogEntries[1]',
      () => withBundle(good(), { tlogEntries: [entry, entry] as TransparencyLogEntry[] }),
    ],
    [
      'LOG_ENTRY_MISMATCH',
      'log',
      `${ENTRY}.kindVersion`,
      () => withEntry(good(), { kindVersion: { kind: 'dsse', version: '0.0.1' } }),
    ],
    ['INCLUSION_PROOF_MISSING', 'log', PROOF, () => withEntry(good(), { inclusionProof: undefined })],
    ['INCLUSION_PROOF_WRONG', 'log', PROOF, () => proof({ rootHash: sha256(NONSENSE) })],
    ['NOTE_INVALID', 'log', `${PROOF}.checkpoint`, () => proof({ checkpoint: 'x' })],
    [
      'CHECKPOINT_INVALID',
      'log',
      `${PROOF}.checkpoint`,
      () => proof({ checkpoint: checkpoint().replace(/\n[0-9]+\n/, '\nz\n') }),
    ],
    [
      'CHECKPOINT_SIGNATURE_INVALID',
      'log',
      `${PROOF}.checkpoint`,
      () => proof({ checkpoint: checkpoint().replace(/^[^ ]+/, 'other') }),
    ],
    [
      'IDENTITY_MISMATCH',
      'identity',
      'verificationMaterial.certificate',
      () => withOptions(good(), { policy: exactly('a', 'b') }),
    ],
    [
      'KEY_MISMATCH',
      'parse',
      'verificationMaterial',
      () => withOptions(good(), { policy: { key: keyOf('other').publicKey } }),
    ],
    [
      'DIGEST_MISMATCH',
      'signature',
      `${ENTRY}.canonicalizedBody`,
      () => withOptions(good(), { artifact: wholeArtifact(NONSENSE) }),
    ],
  ])('%s in step %s, at %s', (code, step, evidence, make) => {
    expect(() => verify(good())).not.toThrow();
    expect(findingOf(() => verify(make()))).toEqual([code, step, evidence]);
  });

  test('of the conformance suite, whatever is wrong', () => {
    let rejected = 0;
    for (const sample of SAMPLES.filter(({ good: isGood, name }) => !isGood && name !== 'managed-key-wrong-key_fail')) {
      const verifySample = (): unknown => {
        const artifact = wholeArtifact(sample.artifact ?? NONSENSE);
        return verify({
          bundle: parsedBundle(sample),
          options: { trustedRoot: sample.trustedRoot(), policy: sample.policy(), artifact, now: NOW },
        });
      };
      const [, step, evidence] = findingOf(verifySample);
      expect([sample.name, typeof step, typeof evidence]).toEqual([sample.name, 'string', 'string']);
      rejected += 1;
    }
    expect(rejected).toBeGreaterThan(20);
  });
});
