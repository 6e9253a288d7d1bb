import { beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import type * as Peculiar from '@peculiar/x509';
import { serializeHex } from '../bytes/bytes.ts';
import { distinguishedName, serializeTbsCertificate, signCertificate } from './build.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { verifyChain } from './chain.ts';
import { alternativeNamesExtension, precertificatePoisonExtension } from './extensions.ts';
import { serializeFulcioClaims } from './fulcio.ts';
import { commonName, subjectAlternativeNames } from './names.ts';
import { issue, issueAuthority, leafExtensions, loadPeculiarX509, NOON, NOT_AFTER, NOT_BEFORE } from './testing.ts';

// How long an RSA key takes to be made is a matter of luck: seconds where the machine is busy.
setDefaultTimeout(60_000);

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
});
