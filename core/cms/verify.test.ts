import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { octetString, oid, sequence, setOf } from '../asn1/der.ts';
import { parseBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { digest } from '../crypto/hash.ts';
import { serializePrivateKey, sign } from '../crypto/private-key.ts';
import { VerificationError } from '../errors.ts';
import { errorOf } from '../testing.ts';
import { parseCertificate, serializeCertificatePem } from '../x509/certificate.ts';
import { subjectKeyIdExtension } from '../x509/extensions.ts';
import { OID } from '../x509/oids.ts';
import { flipped, type Holder, issue, issueAuthority, keyOf, leafExtensions } from '../x509/testing.ts';
import { parseSignedData, type SignerInfo } from './signed-data.ts';
import { attribute, buildSignedData, hasOpenssl, openssl, type SignedDataOptions } from './testing.ts';
import { isSigner, verifySignerInfo } from './verify.ts';

// How long an RSA key takes to be made is a matter of luck: seconds where the machine is busy.
setDefaultTimeout(60_000);

const root = issueAuthority('root');
const extensions = leafExtensions(root, 'codeSigning');
const signer = issue({ issuer: root, extensions });
const content = serializeUtf8('content');

const signerOf = (der: Uint8Array): SignerInfo => parseSignedData(der).signerInfos[0] as SignerInfo;
const build = (options: Partial<SignedDataOptions> = {}): SignerInfo =>
  signerOf(buildSignedData({ signer, content, ...options }));

describe('accepted', () => {
  test.each(['p256', 'p384', 'p521', 'rsa', 'ed25519'] as const)('a signature with a key of kind %s', (kind) => {
    const holder = issue({ name: `signer ${kind}`, issuer: root, kind, extensions });
    const info = signerOf(buildSignedData({ signer: holder, content }));
    expect(verifySignerInfo(info, OID.data, content, holder.certificate)).toBeUndefined();
    expect(errorOf(() => verifySignerInfo(info, OID.data, content, signer.certificate)).code).toBe('SIGNATURE_INVALID');
  });

  test('a signer named by key identifier', () => {
    const keyId = subjectKeyIdExtension(Uint8Array.of(1, 2, 3));
    const holder = issue({ issuer: root, extensions: [...extensions, keyId] });
    const info = signerOf(buildSignedData({ signer: holder, content, bySubjectKeyId: true }));
    expect(isSigner(info, holder.certificate)).toBe(true);
    expect(isSigner(info, signer.certificate)).toBe(false);
    verifySignerInfo(info, OID.data, content, holder.certificate);
  });

  test('a signer named by issuer and serial number', () => {
    expect(isSigner(build(), signer.certificate)).toBe(true);
    expect(isSigner(build(), issue({ issuer: root, extensions }).certificate)).toBe(false);
    expect(isSigner(build(), { ...signer.certificate, issuerName: signer.certificate.subjectName })).toBe(false);
  });

  test('a digest of its own beside that of the signature', () => {
    // As the reference timestamp authority does it: SHA-256 throughout, under a P-384 key.
    const holder = issue({ name: 'signer p384', issuer: root, kind: 'p384', extensions });
    const signed = setOf(
      attribute(OID.contentType, oid(OID.data)),
      attribute(OID.messageDigest, octetString(digest('sha256', content))),
    );
    const der = buildSignedData({
      signer: holder,
      content,
      attributes: () => [
        attribute(OID.contentType, oid(OID.data)),
        attribute(OID.messageDigest, octetString(digest('sha256', content))),
      ],
      signerInfo: (fields) =>
        fields
          .with(2, sequence(oid(OID.sha256)))
          .with(4, sequence(oid(OID.ecdsaWithSha256)))
          .with(5, octetString(sign(holder.key, signed, 'sha256'))),
      signedData: (fields) => fields.with(1, setOf(sequence(oid(OID.sha256)))),
    });
    verifySignerInfo(signerOf(der), OID.data, content, holder.certificate);
  });

  const folder = sharedPath('corpus/git');
  test.skipIf(folder === undefined)('every signature of git objects in the test data', () => {
    let count = 0;
    for (const kind of ['commit', 'tag']) {
      for (const name of readdirSync(join(folder as string, kind))) {
        const { payload, cms } = splitGitObject(readFileSync(join(folder as string, kind, name), 'latin1'));
        const { contentType, certificates, signerInfos } = parseSignedData(cms);
        const info = signerInfos[0] as SignerInfo;
        const certificate = certificates.map(parseCertificate).find((candidate) => isSigner(info, candidate));
        if (certificate === undefined) throw new Error(`${name}: no certificate of the signer`);
        verifySignerInfo(info, contentType, payload, certificate);
        const other = flipped(payload, payload.length - 1);
        expect(errorOf(() => verifySignerInfo(info, contentType, other, certificate)).code).toBe('SIGNATURE_INVALID');
        count++;
      }
    }
    expect(count).toBeGreaterThan(40);
  });
});

describe('accepted from openssl cms', () => {
  const signWith = (holder: Holder, ...options: string[]): Uint8Array => {
    const files = {
      content,
      'key.pem': serializePrivateKey(holder.key),
      'certificate.pem': serializeCertificatePem(holder.certificate),
    };
    const io = ['-in', 'content', '-out', 'out', '-outform', 'DER', '-signer', 'certificate.pem', '-inkey', 'key.pem'];
    return openssl(files, ['cms', '-sign', '-binary', '-nosmimecap', ...io, ...options]);
  };
  const keyId = subjectKeyIdExtension(Uint8Array.of(1, 2, 3));
  // Without openssl these are skipped, except where tests must not be.
  test.skipIf(!hasOpenssl() && process.env['CI'] !== 'true').each([
    ['p256', []],
    ['p384', ['-md', 'sha384']],
    ['rsa', ['-md', 'sha512']],
    ['p256', ['-keyid']],
    ['p256', ['-nodetach']],
  ] as const)('%s %p', (kind, options) => {
    const holder = issue({ name: `signer ${kind}`, issuer: root, kind, extensions: [...extensions, keyId] });
    const parsed = parseSignedData(signWith(holder, ...options));
    const info = parsed.signerInfos[0] as SignerInfo;
    expect(isSigner(info, holder.certificate)).toBe(true);
    verifySignerInfo(info, parsed.contentType, parsed.content ?? content, holder.certificate);
  });
});

describe('refused, by flaw', () => {
  const refused = (info: SignerInfo, sentence: string, options: { content?: Uint8Array; type?: string } = {}): void => {
    const { certificate } = signer;
    const error = errorOf(() =>
      verifySignerInfo(info, options.type ?? OID.data, options.content ?? content, certificate),
    );
    expect(error).toBeInstanceOf(VerificationError);
    expect(error.code).toBe('SIGNATURE_INVALID');
    expect(error.message).toContain(sentence);
  };

  test('other content', () => refused(build(), 'over other content', { content: serializeUtf8('other') }));
  test('content of another type', () => refused(build(), 'content of another type', { type: OID.timestampInfo }));
  test('no signed attributes', () =>
    refused(build({ signerInfo: (fields) => fields.toSpliced(3, 1) }), 'no signed attributes'));
  test('signature directly over the content', () => {
    const direct = octetString(sign(signer.key, content));
    const info = build({ signerInfo: (fields) => fields.with(5, direct).toSpliced(3, 1) });
    refused(info, 'no signed attributes');
  });
  test('signature over the attributes as they are sent, with the tag [0]', () => {
    const info = build({
      signerInfo: (fields) => fields.with(5, octetString(sign(signer.key, fields[3] as Uint8Array))),
    });
    refused(info, 'not by the key');
  });
  test('another key', () => {
    const impostor = issue({ key: keyOf('impostor'), issuer: root, extensions });
    refused(signerOf(buildSignedData({ signer: impostor, content })), 'not by the key');
  });
  test('signature of an attribute that was exchanged', () => {
    const info = build({ attributes: (attributes) => [...attributes, attribute('1.2.3', octetString(content))] });
    const plain = build();
    refused({ ...info, signature: plain.signature }, 'not by the key');
  });
  test('SHA-1', () => {
    const sha1 = sequence(oid(OID.sha1));
    const info = build({
      signerInfo: (fields) => fields.with(2, sha1),
      signedData: (fields) => fields.with(1, setOf(sha1)),
    });
    refused(info, 'uses SHA-1');
  });
  test('unknown digest', () => {
    const md5 = sequence(oid('1.2.840.113549.2.5'));
    const info = build({
      signerInfo: (fields) => fields.with(2, md5),
      signedData: (fields) => fields.with(1, setOf(md5)),
    });
    refused(info, 'digest 1.2.840.113549.2.5, not supported');
  });
  test('signature algorithm of another kind of key', () =>
    refused(build({ signerInfo: (f) => f.with(4, sequence(oid(OID.sha256WithRsa))) }), 'not supported for a key'));
  test('rsaEncryption under an elliptic key', () =>
    refused(build({ signerInfo: (f) => f.with(4, sequence(oid(OID.rsaEncryption))) }), 'not supported for a key'));
});

/** The signed part of a raw git object and its signature: in the header gpgsig of a commit, at the end of a tag. */
function splitGitObject(text: string): { payload: Uint8Array; cms: Uint8Array } {
  const header = /^gpgsig (.*(?:\n .*)*)\n/m.exec(text);
  const armor = /-----BEGIN SIGNED MESSAGE-----[\s\S]*$/.exec(text)?.[0] ?? '';
  const signature = header?.[1] ?? armor;
  const payload = text.replace(header?.[0] ?? armor, '');
  const base64 = signature.replace(/-----[A-Z ]+-----/g, '').replace(/\s/g, '');
  return { payload: new Uint8Array(Buffer.from(payload, 'latin1')), cms: parseBase64(base64) };
}
