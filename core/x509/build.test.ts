import { beforeAll, describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import type * as Peculiar from '@peculiar/x509';
import { DerReader, sequence } from '../asn1/der.ts';
import { serializeHex } from '../bytes/bytes.ts';
import { distinguishedName, serializeTbsCertificate, signCertificate } from './build.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { verifyChain } from './chain.ts';
import { parseCertificateRequest } from './csr.ts';
import { alternativeNamesExtension, precertificatePoisonExtension } from './extensions.ts';
import { serializeFulcioClaims } from './fulcio.ts';
import { commonName, subjectAlternativeNames } from './names.ts';
import {
  errorOf,
  flipped,
  issue,
  issueAuthority,
  leafExtensions,
  loadPeculiarX509,
  NOON,
  NOT_AFTER,
  NOT_BEFORE,
} from './testing.ts';

let x509: typeof Peculiar;
beforeAll(async () => {
  x509 = await loadPeculiarX509();
});

const root = issueAuthority('root', undefined, { pathLength: 1 });

describe('what we build, others read', () => {
  const claims = serializeFulcioClaims({ issuer: 'https://issuer.example', issuerV2: 'https://issuer.example' });
  const { certificate } = issue({ issuer: root, extensions: [...leafExtensions(root, 'codeSigning'), ...claims] });

  test('OpenSSL', () => {
    const theirs = new X509Certificate(certificate.der);
    expect(theirs.verify(root.key.publicKey.native)).toBe(true);
    expect(theirs.checkIssued(new X509Certificate(root.certificate.der))).toBe(true);
    expect(theirs.subjectAltName).toBe('email:a@example.com');
    expect(new Date(theirs.validTo)).toEqual(NOT_AFTER);
  });

  test('@peculiar/x509', async () => {
    const theirs = new x509.X509Certificate(certificate.der);
    const issuer = new x509.X509Certificate(root.certificate.der);
    expect(await theirs.verify({ publicKey: issuer, date: NOON })).toBe(true);
    expect(issuer.getExtension(x509.BasicConstraintsExtension)).toMatchObject({
      ca: true,
      pathLength: 1,
      critical: true,
    });
    expect(issuer.getExtension(x509.KeyUsagesExtension)?.usages).toBe(
      x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
    );
    expect(theirs.getExtension(x509.ExtendedKeyUsageExtension)).toMatchObject({
      usages: ['1.3.6.1.5.5.7.3.3'],
      critical: false,
    });
    expect(theirs.getExtension(x509.SubjectAlternativeNameExtension)).toMatchObject({ critical: true });
    expect(theirs.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId).toBe(
      issuer.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId as string,
    );
    expect(theirs.extensions.map(({ type }) => type)).toEqual(certificate.extensions.map(({ oid }) => oid));
    expect(issuer.subject).toBe('O=test, CN=root');
  });

  test.each(['p384', 'p521', 'ed25519', 'rsa'] as const)('OpenSSL, signed with a key of kind %s', (kind) => {
    const authority = issueAuthority(`authority ${kind}`, undefined, { kind });
    const theirs = new X509Certificate(authority.certificate.der);
    expect(theirs.verify(authority.key.publicKey.native)).toBe(true);
  });

  test('names of every kind', () => {
    const names = alternativeNamesExtension(
      { kind: 'uri', value: 'https://example.com/x' },
      { kind: 'dns', value: 'example.com' },
      { kind: 'otherName', value: 'alice!example.com' },
    );
    const theirs = new x509.X509Certificate(issue({ issuer: root, extensions: [names] }).certificate.der);
    const read = theirs.getExtension(x509.SubjectAlternativeNameExtension)?.names.toJSON();
    expect(read?.slice(0, 2)).toEqual([
      { type: 'url', value: 'https://example.com/x' },
      { type: 'dns', value: 'example.com' },
    ]);
  });

  test('precertificate poison: a critical NULL', () => {
    const extension = precertificatePoisonExtension();
    expect(extension).toMatchObject({ critical: true, value: Uint8Array.of(5, 0) });
  });

  test('times after 2049 and fractions of a second', () => {
    const notAfter = new Date('2050-06-01T00:00:00.999Z');
    const { certificate: long } = issue({ issuer: root, notAfter, extensions: leafExtensions(root, 'codeSigning') });
    expect(long.notAfter).toEqual(new Date('2050-06-01T00:00:00Z'));
    expect(new Date(new X509Certificate(long.der).validTo)).toEqual(long.notAfter);
  });

  test('serial numbers are unsigned', () => {
    const tbs = serializeTbsCertificate({
      serialNumber: Uint8Array.of(0xff, 0x01),
      issuerKey: root.key.publicKey,
      issuerName: root.certificate.subjectName,
      subjectName: distinguishedName({}),
      notBefore: NOT_BEFORE,
      notAfter: NOT_AFTER,
      spki: root.certificate.spki,
      extensions: leafExtensions(root, 'codeSigning'),
    });
    const der = signCertificate(tbs, root.key);
    expect(new X509Certificate(der).serialNumber).toBe('FF01');
    expect(serializeHex(parseCertificate(der).serialNumber)).toBe('ff01');
  });
});

describe('what others build, we read', () => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

  test('a chain of @peculiar/x509', async () => {
    const rootKeys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const leafKeys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const theirRoot = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=their root, O=Ørsted',
      notBefore: NOT_BEFORE,
      notAfter: NOT_AFTER,
      signingAlgorithm: algorithm,
      keys: rootKeys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 2, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
    });
    const theirLeaf = await x509.X509CertificateGenerator.create({
      subject: 'CN=their leaf',
      issuer: theirRoot.subject,
      notBefore: NOT_BEFORE,
      notAfter: NOT_AFTER,
      signingKey: rootKeys.privateKey,
      publicKey: leafKeys.publicKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.3']),
        new x509.SubjectAlternativeNameExtension([{ type: 'email', value: 'b@example.com' }]),
      ],
    });
    const [ours, anchor] = [theirLeaf, theirRoot].map(({ rawData }) => parseCertificate(new Uint8Array(rawData)));
    expect(anchor).toMatchObject({ isCa: true, pathLength: 2 });
    expect(commonName((ours as Certificate).subjectName)).toBe('their leaf');
    expect(subjectAlternativeNames(ours as Certificate)).toEqual([{ kind: 'email', value: 'b@example.com' }]);
    expect(verifyChain(ours as Certificate, [], [anchor as Certificate], NOON, 'codeSigning')).toHaveLength(2);
  });

  /** A request of @peculiar/x509 with the keys of an algorithm of WebCrypto. */
  async function request(keyAlgorithm: Parameters<typeof crypto.subtle.generateKey>[0]): Promise<Uint8Array> {
    const keys = (await crypto.subtle.generateKey(keyAlgorithm as 'Ed25519', true, [
      'sign',
      'verify',
    ])) as CryptoKeyPair;
    const made = await x509.Pkcs10CertificateRequestGenerator.create({
      name: 'CN=requester',
      keys,
      signingAlgorithm: keyAlgorithm as never,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'email', value: 'c@example.com' }])],
    });
    return new Uint8Array(made.rawData);
  }

  test.each([
    ['P-256', 'p256', algorithm],
    ['P-384', 'p384', { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' }],
    [
      'RSA',
      'rsa',
      { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) },
    ],
    ['Ed25519', 'ed25519', { name: 'Ed25519' }],
  ] as const)('a signing request with a key for %s', async (_name, kind, keyAlgorithm) => {
    const parsed = parseCertificateRequest(await request(keyAlgorithm as never));
    expect(parsed.publicKey.kind).toBe(kind);
    expect(commonName(parsed.subjectName)).toBe('requester');
  });

  test('refused: every turned bit of a signing request', async () => {
    const der = await request(algorithm);
    for (let at = 0; at < der.length; at++)
      expect(errorOf(() => parseCertificateRequest(flipped(der, at))).kind, `byte ${at}`).toBe('input');
  });

  test('refused: signing request signed with another key', async () => {
    const [one, two] = [await request(algorithm), await request(algorithm)];
    const info = elements(one)[0] as Uint8Array;
    const der = sequence(info, ...elements(two).slice(1));
    const error = errorOf(() => parseCertificateRequest(der));
    expect(error.code).toBe('CERTIFICATE_INVALID');
    expect(error.message).toContain('its signature is wrong');
  });

  test('refused: a certificate is no signing request', () => {
    expect(errorOf(() => parseCertificateRequest(root.certificate.der)).code).toBe('CERTIFICATE_INVALID');
  });
});

/** The elements of an outer SEQUENCE. */
function elements(der: Uint8Array): Uint8Array[] {
  const reader = new DerReader(der).sequence();
  const found: Uint8Array[] = [];
  while (!reader.done) found.push(reader.element().encoding);
  return found;
}
