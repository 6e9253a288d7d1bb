import { describe, expect, test } from 'bun:test';
import { serializeUtf8 } from '../bytes/bytes.ts';
import { type PublicKey, serializePublicKeyPem } from '../crypto/public-key.ts';
import type { Statement } from '../dsse/statement.ts';
import type { VerificationErrorCode } from '../errors.ts';
import { errorOf } from '../testing.ts';
import type { Certificate } from '../x509/certificate.ts';
import { keyOf } from '../x509/testing.ts';
import type { Validity } from '../x509/validity.ts';
import { identitiesOf } from './identity.ts';
import { exactly } from './matcher.ts';
import { requirePolicy } from './policy.ts';
import { parsePins, serializePins } from './policy-lock.ts';
import { changedPin, type Pin, type PinPolicy, pinnedIdentity, requirePinned } from './policy-pin.ts';
import type { Policy } from './signer.ts';
import { certificateOf, GITHUB_ACTIONS, workflowCertificate } from './testing.ts';
import { caseOf, expectRejected, keySigned, SAMPLES, verify, withBundle, withOptions } from './testing-cases.ts';

const PROVENANCE = {
  type: 'https://in-toto.io/Statement/v1',
  subjects: [],
  predicateType: 'https://slsa.dev/provenance/v1',
  predicate: {},
} as const;
const SBOM = { ...PROVENANCE, predicateType: 'https://spdx.dev/Document' } as const;

const pinOf = (certificate: Certificate, provenance = false): Pin => {
  const { identities, claims } = identitiesOf(certificate);
  const [identity] = identities;
  if (identity === undefined) throw new Error('internal: no identity');
  return { signer: pinnedIdentity(identity, claims), provenance };
};
const accept = (pin: Pin, certificate: Certificate, statement?: Statement) =>
  requirePinned(
    { kind: 'certificate', key: certificate.publicKey, certificate },
    statement,
    { pins: new Map([['app', pin]]) },
    { digests: {}, name: 'app' },
  );
const rejection = (...args: Parameters<typeof accept>): VerificationErrorCode =>
  errorOf(() => accept(...args)).code as VerificationErrorCode;

describe('the signer of last time', () => {
  test('a workflow, at another ref', () => {
    const pin = pinOf(workflowCertificate());
    expect(pin.signer).toEqual({
      kind: 'certificate',
      issuer: GITHUB_ACTIONS,
      subjectAlternativeName: 'https://github.com/acme/app/.github/workflows/release.yml',
      sourceRepository: 'https://github.com/acme/app',
      sourceRepositoryIdentifier: '1',
      sourceRepositoryOwnerIdentifier: '2',
    });
    const next = workflowCertificate({ ref: 'refs/tags/v2.0.0' });
    expect(accept(pin, next)?.subjectAlternativeName).toEndWith('release.yml@refs/tags/v2.0.0');
  });

  test('an email address, with its @', () => {
    const certificate = certificateOf('email', 'a@example.com', { issuerV2: 'https://accounts.google.com' });
    const pin = pinOf(certificate);
    expect(pin.signer).toMatchObject({ subjectAlternativeName: 'a@example.com' });
    expect(accept(pin, certificate)?.subjectAlternativeName).toBe('a@example.com');
    const other = certificateOf('email', 'a@evil.test', { issuerV2: 'https://accounts.google.com' });
    expect(rejection(pin, other)).toBe('SIGNER_CHANGED');
  });

  test.each([
    ['another repository', { repository: 'acme/app-evil' }],
    ['another workflow', { file: 'test.yml' }],
    ['another issuer', { issuer: 'https://issuer.example.com' }],
    ['a workflow that calls the same builder', { claims: { sourceRepositoryUri: 'https://github.com/evil/app' } }],
    ['a repository of that name, registered anew', { claims: { sourceRepositoryIdentifier: '3' } }],
    ['an owner of that name, registered anew', { claims: { sourceRepositoryOwnerIdentifier: '3' } }],
    ['a repository without its number', { claims: { sourceRepositoryIdentifier: '' } }],
  ])('not %s', (_, run) => {
    expect(rejection(pinOf(workflowCertificate()), workflowCertificate(run))).toBe('SIGNER_CHANGED');
  });

  test('not a key for an identity, nor the reverse, nor another key', () => {
    const key = keyOf('pinned').publicKey;
    const pins = new Map([['app', pinOf(workflowCertificate())]]);
    const signed = keySigned(keyOf('pinned'), serializeUtf8('artifact'));
    const named = { ...signed.options.artifact, name: 'app' };
    expectRejected('SIGNER_CHANGED', withOptions(signed, { artifact: named, policy: { pins } }));
    const keyPins = new Map([['app', { signer: { kind: 'key', key }, provenance: false } as const]]);
    expect(verify(withOptions(signed, { artifact: named, policy: { pins: keyPins } })).signer.kind).toBe('key');
    expect(rejection({ signer: { kind: 'key', key }, provenance: false }, workflowCertificate())).toBe(
      'SIGNER_CHANGED',
    );
    const otherPins = new Map([
      ['app', { signer: { kind: 'key', key: keyOf('other').publicKey }, provenance: false } as const],
    ]);
    expectRejected('SIGNATURE_INVALID', withOptions(signed, { artifact: named, policy: { pins: otherPins } }));
  });

  test('not an artifact that is not pinned, or has no name', () => {
    const signed = keySigned(keyOf('pinned'), serializeUtf8('artifact'));
    expectRejected('PIN_MISSING', withOptions(signed, { policy: { pins: new Map() } }));
    const policy = { pins: new Map(), name: 'constructor' };
    expectRejected('PIN_MISSING', withOptions(signed, { policy }));
  });
});

describe('a pin does not switch off what else is asked of a key', () => {
  const signed = keySigned(keyOf('registry'), serializeUtf8('artifact'));
  const { publicKey: key } = keyOf('registry');
  const listed = {
    keyId: 'npm-key',
    usage: 'npm:attestations',
    key,
    validFor: { start: new Date('2020-01-01T00:00:00Z'), end: undefined },
  };
  const pins = new Map([['app', { signer: { kind: 'key', key }, provenance: false } as const]]);
  const pinnedAnd = (also: NonNullable<PinPolicy['also']>, hint = 'npm-key') =>
    withBundle(withOptions(signed, { policy: { pins, name: 'app', also } }), { material: { kind: 'publicKey', hint } });

  test('a key of the registry is accepted, and so is the key itself', () => {
    expect(verify(pinnedAnd({ registryKeys: [listed] })).signer.kind).toBe('key');
    expect(verify(pinnedAnd({ key })).signer.kind).toBe('key');
  });

  test('but not outside of its period', () => {
    const validFor = { ...listed.validFor, end: new Date('2021-01-01T00:00:00Z') };
    expectRejected('KEY_EXPIRED', pinnedAnd({ registryKeys: [{ ...listed, validFor }] }));
    expectRejected('KEY_EXPIRED', pinnedAnd({ key, validFor }));
  });

  test('nor for another usage, nor under another ID', () => {
    expectRejected('KEY_MISMATCH', pinnedAnd({ registryKeys: [{ ...listed, usage: 'npm:signatures' }] }));
    expectRejected('KEY_MISMATCH', pinnedAnd({ registryKeys: [listed] }, 'another'));
  });

  test('nor another key, nor an identity, nor a rule without that key', () => {
    const other = keyOf('other').publicKey;
    const rule = { name: 'other', identities: [], keys: [other], predicateTypes: [], conditions: [] };
    expectRejected('KEY_MISMATCH', pinnedAnd({ key: other }));
    expectRejected('KEY_MISMATCH', pinnedAnd({ registryKeys: [{ ...listed, key: other }] }));
    expectRejected('KEY_MISMATCH', pinnedAnd({ rules: [rule] }));
    expectRejected(
      'KEY_MISMATCH',
      pinnedAnd({ identities: [{ issuer: exactly('i'), subjectAlternativeName: exactly('n') }] }),
    );
  });

  test('the policy itself refuses another key than its own, another period, and keys for something else', () => {
    const at = { statement: undefined, artifact: signed.options.artifact };
    const refusal = (signer: { key: PublicKey; validFor?: Validity }, policy: Policy) =>
      errorOf(() => requirePolicy({ ...at, signer: { kind: 'key', ...signer } }, policy)).code;
    const other = { key: keyOf('other').publicKey };
    const { validFor } = listed;
    expect(refusal(other, { key })).toBe('KEY_MISMATCH');
    expect(refusal({ key }, { key, validFor })).toBe('KEY_MISMATCH');
    expect(refusal({ ...other, validFor }, { registryKeys: [listed] })).toBe('KEY_MISMATCH');
    expect(refusal({ key }, { registryKeys: [listed] })).toBe('KEY_MISMATCH');
    expect(refusal({ key, validFor }, { registryKeys: [{ ...listed, usage: 'npm:signatures' }] })).toBe('KEY_MISMATCH');
    const allowed = requirePolicy({ ...at, signer: { kind: 'key', key, validFor } }, { registryKeys: [listed] });
    expect(allowed).toEqual({ identity: undefined, rule: undefined });
  });
});

describe('provenance', () => {
  test('that was there has to be there again', () => {
    const certificate = workflowCertificate();
    expect(accept(pinOf(certificate, true), certificate, PROVENANCE)).toBeDefined();
    expect(rejection(pinOf(certificate, true), certificate)).toBe('PROVENANCE_LOST');
    expect(rejection(pinOf(certificate, true), certificate, SBOM)).toBe('PROVENANCE_LOST');
  });

  test('that was not there may come', () => {
    const certificate = workflowCertificate();
    expect(accept(pinOf(certificate, false), certificate, PROVENANCE)).toBeDefined();
    expect(accept(pinOf(certificate, false), certificate)).toBeDefined();
  });
});

describe('what became of a pin', () => {
  const pin = pinOf(workflowCertificate(), true);
  test.each([
    ['nothing', pin, undefined],
    ['nothing, at another ref', pinOf(workflowCertificate({ ref: 'refs/tags/v2' }), true), undefined],
    ['another signer', pinOf(workflowCertificate({ repository: 'acme/other' }), true), 'signer'],
    ['a key', { signer: { kind: 'key', key: keyOf('pinned').publicKey }, provenance: true } as const, 'signer'],
    ['no provenance', { ...pin, provenance: false }, 'provenance'],
  ])('%s', (_, now, expected) => {
    expect(changedPin(pin, now)).toBe(expected as never);
  });

  test('more is known', () => {
    expect(changedPin({ ...pin, provenance: false }, pin)).toBe('gained');
    const { sourceRepositoryIdentifier: _, ...less } = pin.signer as Extract<Pin['signer'], { kind: 'certificate' }>;
    expect(changedPin({ ...pin, signer: less }, pin)).toBe('gained');
  });
});

describe.if(SAMPLES.length > 0)('a whole bundle', () => {
  test('by the pinned signer, and by a policy on top', () => {
    const the = caseOf('happy-path-v0.3');
    const verified = verify(the);
    if (verified.signer.kind !== 'certificate') throw new Error('internal: no certificate');
    const pins = new Map([['a.txt', pinOf(verified.signer.certificate)]]);
    const policy = { pins, name: 'a.txt' };
    expect(verify(withOptions(the, { policy })).signer).toMatchObject({ kind: 'certificate' });
    expect(verify(withOptions(the, { policy: { ...policy, also: the.options.policy as never } })).signer.kind).toBe(
      'certificate',
    );
    const also = {
      identities: [
        { issuer: exactly('https://accounts.google.com'), subjectAlternativeName: exactly('a@example.com') },
      ],
    };
    expectRejected('IDENTITY_MISMATCH', withOptions(the, { policy: { ...policy, also } }));
  });
});

describe('signers.lock', () => {
  const pins = new Map<string, Pin>([
    ['b', pinOf(workflowCertificate(), true)],
    ['__proto__', { signer: { kind: 'key', key: keyOf('pinned').publicKey }, provenance: false }],
    ['a', pinOf(certificateOf('email', 'a@example.com', { issuerV2: 'https://accounts.google.com' }))],
  ]);
  const parse = (value: unknown) => parsePins(serializeUtf8(JSON.stringify(value)));

  test('reads what it writes, the same whatever the order', () => {
    const text = serializePins(pins);
    expect(serializePins(parsePins(serializeUtf8(text)))).toBe(text);
    expect(serializePins(new Map([...pins].reverse()))).toBe(text);
    expect([...parsePins(serializeUtf8(text)).keys()]).toEqual(['__proto__', 'a', 'b']);
    expect(text).toEndWith('\n}\n');
  });

  const signer = { issuer: 'https://issuer.example.com', subjectAlternativeName: 'a@example.com' };
  const pem = serializePublicKeyPem(keyOf('pinned').publicKey);
  test.each([
    ['another version', { version: 2, artifacts: {} }],
    ['no artifacts', { version: 1 }],
    ['an unknown member', { version: 1, artifacts: {}, more: 1 }],
    ['a pin without a signer', { version: 1, artifacts: { a: { provenance: true } } }],
    ['a pin without provenance', { version: 1, artifacts: { a: { signer } } }],
    ['provenance as a text', { version: 1, artifacts: { a: { signer, provenance: 'false' } } }],
    [
      'a signer without an issuer',
      { version: 1, artifacts: { a: { signer: { subjectAlternativeName: 'a' }, provenance: true } } },
    ],
    ['a signer without a name', { version: 1, artifacts: { a: { signer: { issuer: 'a' }, provenance: true } } }],
    [
      'a signer with an empty name',
      { version: 1, artifacts: { a: { signer: { ...signer, subjectAlternativeName: '' }, provenance: true } } },
    ],
    [
      'an unknown member of a signer',
      { version: 1, artifacts: { a: { signer: { ...signer, any: true }, provenance: true } } },
    ],
    ['a key that is none', { version: 1, artifacts: { a: { signer: { publicKey: 'x' }, provenance: true } } }],
    [
      'a key and an identity',
      { version: 1, artifacts: { a: { signer: { ...signer, publicKey: pem }, provenance: true } } },
    ],
  ])('refuses %s', (_, value) => {
    expect(errorOf(() => parse(value)).code).toBe('PINS_INVALID');
  });

  test('refuses one artifact twice, and what is no JSON', () => {
    expect(errorOf(() => parsePins(serializeUtf8('{"version":1,"artifacts":{"a":{},"a":{}}}'))).code).toBe(
      'JSON_DUPLICATE_KEY',
    );
    expect(errorOf(() => parsePins(serializeUtf8('<<<<<<< HEAD'))).code).toBe('JSON_INVALID');
  });
});
