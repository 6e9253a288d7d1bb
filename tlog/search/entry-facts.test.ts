import { describe, expect, test } from 'bun:test';
import { serializeBase64, serializeHex, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { canonicalizeJson, type Json } from '../../core/bytes/json.ts';
import { sha256 } from '../../core/crypto/hash.ts';
import { generateKey } from '../../core/crypto/private-key.ts';
import { keyFingerprint, serializePublicKeyPem } from '../../core/crypto/public-key.ts';
import { serializeCertificatePem } from '../../core/x509/certificate.ts';
import { issue, issueAuthority, leafExtensions } from '../../core/x509/testing.ts';
import { serializeEntryExtra } from '../entry-extra.ts';
import { entryFacts } from './entry-facts.ts';
import { domainsOf, entryTerms, repositoryName, termKey } from './terms.ts';

const CA = issueAuthority('ca');
const LEAF = issue({ name: 'signer', issuer: CA, extensions: leafExtensions(CA, 'codeSigning') });
const KEY = generateKey('p256');
const PEM = { certificate: serializeCertificatePem(LEAF.certificate), key: serializePublicKeyPem(KEY.publicKey) };
const b64 = (text: string | Uint8Array): string =>
  serializeBase64(typeof text === 'string' ? serializeUtf8(text) : text);
const D1 = 'a1'.repeat(32);
const D2 = 'b2'.repeat(48);
const hash = (value: string) => ({ algorithm: value.length === 64 ? 'sha256' : 'sha384', value });
const hashOutput = (value: string) => ({ algorithm: 'SHA2_256', digest: b64(Uint8Array.fromHex(value)) });
const body = (kind: string, apiVersion: string, spec: Json): Uint8Array =>
  serializeUtf8(canonicalizeJson({ apiVersion, kind, spec }));

const byKey = { key: serializeHex(keyFingerprint(KEY.publicKey)), identities: [] };
const byCertificate = {
  key: serializeHex(keyFingerprint(LEAF.key.publicKey)),
  identities: [{ kind: 'email', value: 'a@example.com' }],
};
const artifact = (value: string) => ({ of: 'artifact', ...hash(value) });
const v2Certificate = {
  x509Certificate: { rawBytes: b64(LEAF.certificate.der) },
  keyDetails: 'PKIX_ECDSA_P256_SHA_256',
};
const v2Key = { publicKey: { rawBytes: b64(KEY.publicKey.spki) }, keyDetails: 'PKIX_ECDSA_P256_SHA_256' };

describe('entryFacts', () => {
  test.each([
    [
      'hashedrekord 0.0.1',
      { data: { hash: hash(D1) }, signature: { content: 'AA==', publicKey: { content: b64(PEM.key) } } },
      [artifact(D1)],
      [byKey],
    ],
    [
      'rekord 0.0.1',
      { data: { hash: hash(D2) }, signature: { format: 'x509', publicKey: { content: b64(PEM.certificate) } } },
      [artifact(D2)],
      [byCertificate],
    ],
    [
      'dsse 0.0.1',
      {
        envelopeHash: hash(D1),
        payloadHash: hash(D2),
        signatures: [{ verifier: b64(PEM.certificate) }, { verifier: b64(PEM.key) }],
      },
      [
        { of: 'payload', ...hash(D2) },
        { of: 'envelope', ...hash(D1) },
      ],
      [byCertificate, byKey],
    ],
    [
      'intoto 0.0.1',
      { content: { hash: hash(D1), payloadHash: hash(D2) }, publicKey: b64(PEM.key) },
      [
        { of: 'payload', ...hash(D2) },
        { of: 'envelope', ...hash(D1) },
      ],
      [byKey],
    ],
    [
      'intoto 0.0.2',
      { content: { envelope: { signatures: [{ publicKey: b64(PEM.key) }] }, hash: hash(D1), payloadHash: hash(D2) } },
      [{ of: 'payload', ...hash(D2) }],
      [byKey],
    ],
    [
      'rfc3161 0.0.1',
      { tsr: { content: b64('a timestamp') } },
      [{ of: 'timestamp', algorithm: 'sha256', value: serializeHex(sha256(serializeUtf8('a timestamp'))) }],
      [],
    ],
    [
      'hashedrekord 0.0.2',
      { hashedRekordV002: { data: hashOutput(D1), signature: { content: 'AA==', verifier: v2Certificate } } },
      [artifact(D1)],
      [byCertificate],
    ],
    [
      'dsse 0.0.2',
      { dsseV002: { payloadHash: hashOutput(D1), signatures: [{ verifier: v2Key }, { verifier: v2Certificate }] } },
      [{ of: 'payload', ...hash(D1) }],
      [byKey, byCertificate],
    ],
  ] as [string, Json, object[], object[]][])('reads %s', (name, spec, digests, signers) => {
    const [kind = '', version = ''] = name.split(' ');
    const facts = entryFacts(body(kind, version, spec));
    expect([facts.kind, facts.version]).toEqual([kind, version]);
    expect(facts.digests).toEqual(digests as never);
    expect(facts.signers.map(({ key, identities }) => ({ key, identities }))).toEqual(signers as never);
  });

  test.each([
    ['a kind of a later version', body('hashedrekord', '9.9.9', {})],
    ['a kind without what it should hold', body('dsse', '0.0.1', {})],
    [
      'a key that is none',
      body('hashedrekord', '0.0.1', {
        data: {},
        signature: { publicKey: { content: b64('-----BEGIN CERTIFICATE-----') } },
      }),
    ],
    ['no spec at all', body('intoto', '0.0.2', null)],
  ])('leaves out what cannot be read: %s', (_, bytes) => {
    const facts = entryFacts(bytes);
    expect([facts.digests, facts.signers]).toEqual([[], []]);
  });

  test('reads the signer that it can beside one that it cannot', () => {
    const signatures = [{ verifier: b64('nothing') }, { verifier: b64(PEM.key) }];
    const facts = entryFacts(body('dsse', '0.0.1', { payloadHash: hash(D1), signatures }));
    expect(facts.signers.map(({ key }) => key)).toEqual([byKey.key]);
    expect(facts.digests.length).toBe(1);
  });
});

describe('the terms of an entry', () => {
  test('are those of its body and those that were kept beside it', () => {
    const kept = termKey('digest', `sha256:${D2}`);
    const { keys, names } = entryTerms({
      body: body('hashedrekord', '0.0.1', {
        data: { hash: hash(D1) },
        signature: { publicKey: { content: b64(PEM.certificate) } },
      }),
      extra: serializeEntryExtra({ searchKeys: [kept], attestation: serializeUtf8('attested') }),
    });
    expect(names).toEqual(['a@example.com']);
    const expected = [
      kept,
      termKey('digest', `sha256:${D1}`),
      termKey('fingerprint', byCertificate.key),
      termKey('key', serializeHex(sha256(serializeUtf8(PEM.certificate)))),
      termKey('serial', serializeHex(LEAF.certificate.serialNumber).replace(/^0+/, '')),
      termKey('subject', 'A@example.com'),
      termKey('domain', 'example.com'),
    ];
    expect(keys.map(serializeHex).sort()).toEqual(expected.map(serializeHex).sort());
  });

  test.each([
    ['a body that is no JSON', { body: serializeUtf8('{'), extra: undefined }],
    ['a body that is no text', { body: Uint8Array.of(0xff), extra: undefined }],
    ['a body that is another kind of JSON', { body: serializeUtf8('null'), extra: Uint8Array.of(1) }],
    ['keys that are cut', { body: body('rfc3161', '0.0.1', {}), extra: Uint8Array.of(0, 9, 1) }],
  ])('are none for %s', (_, entry) => {
    const { keys, names } = entryTerms(entry);
    expect([keys, names]).toEqual([[], []]);
  });

  test.each([
    ['a@mail.corp.example.com', ['mail.corp.example.com', 'corp.example.com', 'example.com']],
    ['a@b@example.com', ['example.com']],
    ['user!example.com', ['example.com']],
    ['https://GitHub.com/a/b.example', ['github.com']],
    ['https://user@host.example:8443/x@y.z', ['host.example']],
    ['https://localhost/x', ['localhost']],
    ['build.example.com', ['build.example.com', 'example.com']],
    ['spiffe://trust.example/workload', ['trust.example']],
    [`a@${'x.'.repeat(20)}com`, []],
    ['a@exa mple.com', []],
    ['a@', []],
  ])('the domains of %s', (identity, domains) => {
    expect(domainsOf(identity)).toEqual(domains);
  });

  test.each([
    'https://github.com/Acme/App',
    'http://github.com/acme/app/',
    'git+https://github.com/acme/app.git',
    'github.com/acme/app',
    'acme/app',
  ])('a repository by the name %s', (name) => {
    expect(repositoryName(name)).toBe('acme/app');
    expect(repositoryName('https://gitlab.com/acme/app')).toBe('gitlab.com/acme/app');
  });
});
