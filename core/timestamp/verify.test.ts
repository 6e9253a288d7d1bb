import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { octetString, oid, sequence, setOf } from '../asn1/der.ts';
import { parseBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { attribute } from '../cms/testing.ts';
import { sha256 } from '../crypto/hash.ts';
import { VerificationError } from '../errors.ts';
import { errorOf } from '../testing.ts';
import { serializeTbsCertificate, signCertificate } from '../x509/build.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { extendedKeyUsageExtension, keyUsageExtension } from '../x509/extensions.ts';
import { OID } from '../x509/oids.ts';
import {
  flipped,
  type Holder,
  issue,
  issueAuthority,
  keyOf,
  leafExtensions,
  NOON,
  NOT_AFTER,
} from '../x509/testing.ts';
import type { Validity } from '../x509/validity.ts';
import { parseTimestampToken } from './response.ts';
import { serializeSigningCertificate } from './signing-certificate.ts';
import { buildToken, certificateId, granted, type TokenOptions } from './testing.ts';
import { type TimestampAuthority, verifySignedTimestamp, verifyTimestamp } from './verify.ts';

const root = issueAuthority('tsa root');
const intermediate = issueAuthority('tsa intermediate', root);
const extensions = leafExtensions(intermediate, 'timeStamping');
const signer = issue({ name: 'tsa', issuer: intermediate, extensions });
const signed = serializeUtf8('signature');
const always: Validity = { start: undefined, end: undefined };

const authority = (holders: readonly Holder[], validFor = always): TimestampAuthority => ({
  chain: holders.map(({ certificate }) => certificate),
  validFor,
});
const pinned = authority([signer, intermediate, root]);
const open = authority([intermediate, root]);

const response = (options: Partial<TokenOptions> = {}): Uint8Array =>
  granted(buildToken({ signer, signed, ...options }));

const refused = (run: () => unknown, code: string, sentence: string): void => {
  const error = errorOf(run);
  expect(error.message).toContain(sentence);
  expect(error).toBeInstanceOf(VerificationError);
  expect((error as VerificationError).step).toBe('time');
  expect(error.code).toBe(code as typeof error.code);
};

describe('accepted', () => {
  test.each([
    ['leaf in the trusted root, none in the timestamp', pinned, []],
    ['leaf in both', pinned, [signer]],
    ['leaf in the timestamp alone', open, [signer]],
    ['leaf and intermediate in the timestamp', authority([root]), [signer, intermediate]],
  ])('%s', (_name, trusted, embedded) => {
    const certificates = embedded.map(({ certificate }) => certificate.der);
    expect(verifyTimestamp(response({ certificates }), signed, [trusted])).toEqual({ time: NOON, authority: trusted });
  });

  test('the authority that signed, of several', () => {
    const other = issueAuthority('other root');
    const others = authority([
      issue({ name: 'other', issuer: other, extensions: leafExtensions(other, 'timeStamping') }),
      other,
    ]);
    expect(verifyTimestamp(response(), signed, [others, pinned]).authority).toBe(pinned);
  });

  test('an authority that is listed for two periods', () => {
    const past = authority([signer, intermediate, root], { start: undefined, end: new Date(0) });
    expect(verifyTimestamp(response(), signed, [past, pinned]).authority).toBe(pinned);
  });

  test('a bare token', () => {
    const timestamp = parseTimestampToken(buildToken({ signer, signed }));
    expect(verifySignedTimestamp(timestamp, signed, [pinned]).time).toEqual(NOON);
  });

  const { der, issuerName, serialNumber } = signer.certificate;
  const sha1 = createHash('sha1').update(der).digest();
  test.each([
    ['first version, SHA-1', OID.signingCertificate, certificateId(sha1)],
    [
      'first version with issuer',
      OID.signingCertificate,
      certificateId(sha1, { issuer: issuerName, serial: serialNumber }),
    ],
    [
      'second version, its default written out',
      OID.signingCertificateV2,
      certificateId(sha256(der), { algorithm: OID.sha256 }),
    ],
    [
      'second version, SHA-512',
      OID.signingCertificateV2,
      certificateId(createHash('sha512').update(der).digest(), { algorithm: OID.sha512 }),
    ],
  ])('certificate named by the attribute of the %s', (_name, type, value) => {
    const signingCertificate = [attribute(type, value)];
    expect(verifyTimestamp(response({ signingCertificate }), signed, [pinned]).time).toEqual(NOON);
  });

  test('at both ends of the time in which the authority is trusted', () => {
    const instant = authority([signer, intermediate, root], { start: NOON, end: NOON });
    expect(verifyTimestamp(response(), signed, [instant]).time).toEqual(NOON);
  });
});

describe('refused, by flaw', () => {
  const untrusted = (run: () => unknown, sentence: string): void => refused(run, 'TIMESTAMP_UNTRUSTED', sentence);
  const forged = (run: () => unknown, sentence: string): void => refused(run, 'TIMESTAMP_SIGNATURE_INVALID', sentence);
  /** A leaf of the authority with other properties, and a timestamp by it. */
  const by = (holder: Holder, options: Partial<TokenOptions> = {}) => {
    const trusted = authority([holder, intermediate, root]);
    return () => verifyTimestamp(granted(buildToken({ signer: holder, signed, ...options })), signed, [trusted]);
  };

  test('over other bytes', () =>
    refused(() => verifyTimestamp(response(), serializeUtf8('other'), [pinned]), 'TIMESTAMP_MISMATCH', 'other bytes'));
  test('no authority trusted', () =>
    untrusted(() => verifyTimestamp(response(), signed, []), 'no timestamp authority is trusted'));
  test('authority without a certificate', () =>
    untrusted(() => verifyTimestamp(response(), signed, [authority([])]), 'authority has no certificate'));
  test('authority not trusted, its certificates embedded', () => {
    const certificates = [signer, intermediate, root].map(({ certificate }) => certificate.der);
    const stranger = issueAuthority('stranger');
    untrusted(
      () => verifyTimestamp(response({ certificates }), signed, [authority([stranger])]),
      'no trusted authority',
    );
  });
  test('certificate of the signer nowhere to be found', () =>
    untrusted(
      () => verifyTimestamp(response({ certificates: [] }), signed, [open]),
      'neither timestamp nor trusted root has the certificate',
    ));
  test('another leaf of the same root than the one in the trusted root', () => {
    const sibling = issue({ name: 'sibling', issuer: intermediate, extensions });
    const other = granted(buildToken({ signer: sibling, signed }));
    untrusted(() => verifyTimestamp(other, signed, [pinned]), 'not of a trusted timestamp authority');
    expect(verifyTimestamp(other, signed, [open]).time).toEqual(NOON);
  });

  describe('embedded certificate substituted (GHSA-xm5m-wgh2-rrg3)', () => {
    const attacker: Holder = issue({
      name: 'tsa',
      key: keyOf('attacker'),
      extensions: leafExtensions(root, 'timeStamping'),
    });
    const both = [attacker.certificate.der, signer.certificate.der];
    test.each([
      ['the genuine one first', both.toReversed()],
      ['the genuine one last', both],
    ])('signed by a certificate of the attacker, %s', (_order, certificates) => {
      const der = granted(buildToken({ signer: attacker, signed, certificates }));
      for (const trusted of [pinned, open]) {
        expect(errorOf(() => verifyTimestamp(der, signed, [trusted])).code).toBe('TIMESTAMP_UNTRUSTED');
      }
    });
    test.each([
      ['the genuine one first', both.toReversed()],
      ['the genuine one last', both],
    ])('signed by the attacker in the name of the genuine certificate, %s', (_order, certificates) => {
      const impostor = { key: attacker.key, certificate: signer.certificate };
      const der = granted(buildToken({ signer: impostor, signed, certificates }));
      for (const trusted of [pinned, open])
        expect(errorOf(() => verifyTimestamp(der, signed, [trusted])).code).toBe('TIMESTAMP_UNTRUSTED');
    });
    test('signed by the attacker in the name of the genuine certificate, which alone comes along', () => {
      const der = granted(buildToken({ signer: { ...signer, key: attacker.key }, signed }));
      for (const trusted of [pinned, open])
        forged(() => verifyTimestamp(der, signed, [trusted]), 'not by the key of its certificate');
    });
    test('a twin with the issuer and serial number of the genuine certificate', () => {
      const { issuerName, serialNumber, subjectName, notBefore, notAfter } = signer.certificate;
      const { key } = attacker;
      const tbs = serializeTbsCertificate({
        serialNumber,
        issuerKey: key.publicKey,
        issuerName,
        subjectName,
        notBefore,
        notAfter,
        spki: key.publicKey.spki,
        extensions,
      });
      const certificate = parseCertificate(signCertificate(tbs, key));
      const der = granted(buildToken({ signer: { key, certificate }, signed }));
      untrusted(() => verifyTimestamp(der, signed, [pinned]), 'the certificate of another signer');
      untrusted(() => verifyTimestamp(der, signed, [open]), 'no trusted authority');
      const beside = response({ certificates: [signer.certificate.der, certificate.der] });
      untrusted(() => verifyTimestamp(beside, signed, [open]), 'the certificate of another signer');
    });
  });

  test('authority outside of its time', () => {
    const validFor = { start: undefined, end: new Date(NOON.getTime() - 1) };
    refused(
      () => verifyTimestamp(response(), signed, [authority([signer, intermediate, root], validFor)]),
      'TIMESTAMP_OUTSIDE_VALIDITY',
      'timestamp of 2026-01-01T12:00:00.000Z is from outside of the time in which its authority is trusted',
    );
  });
  test('certificate expired at the time of the timestamp', () => {
    const time = new Date(NOT_AFTER.getTime() + 1000);
    untrusted(
      () => verifyTimestamp(response({ time }), signed, [pinned]),
      'certificate expired at 2026-01-02T00:00:00Z',
    );
  });
  test('expired intermediate', () => {
    const old = issueAuthority('old', root, { notAfter: new Date(NOON.getTime() - 1000) });
    const leaf = issue({ name: 'tsa', issuer: old, extensions: leafExtensions(old, 'timeStamping') });
    const trusted = authority([leaf, old, root]);
    const der = granted(buildToken({ signer: leaf, signed }));
    untrusted(() => verifyTimestamp(der, signed, [trusted]), 'issuing certificate expired');
  });
  test('certificate not for time stamping', () => {
    const leaf = issue({ issuer: intermediate, extensions: leafExtensions(intermediate, 'codeSigning') });
    untrusted(by(leaf), 'certificate is not for time stamping');
  });
  test('certificate for more than time stamping', () => {
    const stamping = extendedKeyUsageExtension('timeStamping', true);
    const value = sequence(oid(OID.timeStamping), oid(OID.codeSigning));
    const leaf = issue({
      issuer: intermediate,
      extensions: [keyUsageExtension('digitalSignature'), { ...stamping, value }],
    });
    untrusted(by(leaf), 'certificate is for more than time stamping');
  });
  test('certificate whose purpose is not critical', () => {
    const leaf = issue({
      issuer: intermediate,
      extensions: [keyUsageExtension('digitalSignature'), extendedKeyUsageExtension('timeStamping')],
    });
    untrusted(by(leaf), 'does not mark time stamping as critical');
  });
  test('signature of another key', () =>
    forged(by({ ...signer, key: keyOf('another') }), 'CMS signature is not by the key of its certificate'));
  test('signed digest of other content', () => {
    const wrong = attribute(OID.messageDigest, octetString(sha256(signed)));
    const named = attribute(OID.signingCertificateV2, serializeSigningCertificate(signer.certificate));
    forged(by(signer, { attributes: (attributes) => [...attributes.slice(0, 1), wrong, named] }), 'over other content');
  });
  test('signed content type is another', () => {
    const wrong = attribute(OID.contentType, oid(OID.data));
    const named = attribute(OID.signingCertificateV2, serializeSigningCertificate(signer.certificate));
    forged(
      by(signer, { attributes: (attributes) => [wrong, ...attributes.slice(1), named] }),
      'content of another type',
    );
  });
  test('digest of the signer is SHA-1', () => {
    const sha1 = sequence(oid(OID.sha1));
    const options: Partial<TokenOptions> = {
      signerInfo: (fields) => fields.with(2, sha1),
      signedData: (fields) => fields.with(1, setOf(sha1)),
    };
    forged(by(signer, options), 'uses SHA-1');
  });
  test('imprint of SHA-1', () => {
    const imprint = sequence(sequence(oid(OID.sha1)), octetString(createHash('sha1').update(signed).digest()));
    const error = errorOf(by(signer, { info: (fields) => fields.with(2, imprint) }));
    expect(error.code).toBe('TIMESTAMP_INVALID');
    expect(error.message).toContain('SHA-1');
  });
  test('no attribute that names the certificate', () =>
    forged(by(signer, { signingCertificate: [] }), 'does not name the certificate of its signer'));
  test.each([
    ['first', OID.signingCertificate, 20],
    ['second', OID.signingCertificateV2, 32],
  ])('attribute of the %s version names another certificate', (_version, type, length) =>
    forged(
      by(signer, { signingCertificate: [attribute(type, certificateId(new Uint8Array(length)))] }),
      'names another certificate',
    ),
  );
  test('both attributes, and one names another certificate', () => {
    const right = attribute(OID.signingCertificateV2, serializeSigningCertificate(signer.certificate));
    const wrong = attribute(OID.signingCertificate, certificateId(new Uint8Array(20)));
    forged(by(signer, { signingCertificate: [right, wrong] }), 'names another certificate');
  });
  test('attribute names the certificate with another serial number', () => {
    const { der, issuerName } = signer.certificate;
    const id = certificateId(sha256(der), { issuer: issuerName, serial: Uint8Array.of(1) });
    const signingCertificate = [attribute(OID.signingCertificateV2, id)];
    forged(by(signer, { signingCertificate }), 'another issuer or serial number');
  });
  test('attribute names the certificate with another issuer', () => {
    const { der, serialNumber, subjectName } = signer.certificate;
    const id = certificateId(sha256(der), { issuer: subjectName, serial: serialNumber });
    const signingCertificate = [attribute(OID.signingCertificateV2, id)];
    forged(by(signer, { signingCertificate }), 'another issuer or serial number');
  });
  test.each([
    ['malformed', sequence()],
    ['with an unknown digest', certificateId(new Uint8Array(16), { algorithm: '1.2.840.113549.2.5' })],
  ])('attribute that names the certificate is %s', (_flaw, value) => {
    const error = errorOf(by(signer, { signingCertificate: [attribute(OID.signingCertificateV2, value)] }));
    expect(error.code).toBe('TIMESTAMP_INVALID');
  });
  test('no signed attributes', () => {
    const error = errorOf(by(signer, { signerInfo: (fields) => fields.toSpliced(3, 1) }));
    expect(error.code).toBe('TIMESTAMP_SIGNATURE_INVALID');
  });
  test('embedded garbage in place of a certificate', () => {
    const certificates = [signer.certificate.der, sequence(octetString(signed))];
    expect(errorOf(by(signer, { certificates })).code).toBe('CERTIFICATE_INVALID');
  });
  test('the failure that got furthest is told', () => {
    const stranger = issueAuthority('stranger');
    const validFor = { start: undefined, end: new Date(0) };
    const authorities = [
      authority([stranger]),
      authority([signer, intermediate, root], validFor),
      authority([stranger]),
    ];
    expect(errorOf(() => verifyTimestamp(response(), signed, authorities)).code).toBe('TIMESTAMP_OUTSIDE_VALIDITY');
  });
});

test.each([
  ['without its certificate', []],
  ['with its certificate', [signer.certificate.der]],
])('no bit of a timestamp %s can be turned', (_name, certificates) => {
  const der = response({ certificates });
  for (const trusted of [pinned, open]) {
    if (trusted === open && certificates.length === 0) continue;
    for (let at = 0; at < der.length; at++) {
      const error = errorOf(() => verifyTimestamp(flipped(der, at), signed, [trusted]));
      expect(['input', 'verification'], `byte ${at}`).toContain(error.kind);
    }
  }
});

describe('timestamps of the test data', () => {
  const folder = sharedPath('corpus/conformance');
  const cases = folder === undefined ? [] : readdirSync(folder).filter((name) => !name.endsWith('.txt'));
  const expected: Record<string, string> = {
    'rekor2-timestamp-outside-trust-root-tsa-validity_fail': 'TIMESTAMP_OUTSIDE_VALIDITY',
    'rekor2-timestamp-payload-mismatch_fail': 'TIMESTAMP_MISMATCH',
    'rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail': 'TIMESTAMP_UNTRUSTED',
  };

  test.skipIf(folder === undefined)('the known flaws are found, all others verify', () => {
    let count = 0;
    for (const name of cases) {
      const found = readCase(join(folder as string, name));
      for (const timestamp of found?.timestamps ?? []) {
        const run = (): unknown => verifyTimestamp(timestamp, found?.signature as Uint8Array, found?.authorities ?? []);
        const code = expected[name];
        if (code === undefined) expect(run, name).not.toThrow();
        else expect(errorOf(run).code, name).toBe(code as 'TIMESTAMP_MISMATCH');
        count++;
      }
    }
    expect(count).toBeGreaterThanOrEqual(20);
  });

  test
    .skipIf(folder === undefined)
    .each(['rekor2-timestamp-with-embedded-cert', 'rekor2-timestamp-without-embedded-cert'])(
    'no bit of %s can be turned',
    (name) => {
      const { timestamps, signature, authorities } = readCase(join(folder as string, name)) as TimestampCase;
      const [der] = timestamps as [Uint8Array];
      for (let at = 0; at < der.length; at++)
        expect(['input', 'verification'], `byte ${at}`).toContain(
          errorOf(() => verifyTimestamp(flipped(der, at), signature, authorities)).kind,
        );
    },
  );
});

interface TimestampCase {
  timestamps: Uint8Array[];
  signature: Uint8Array;
  authorities: TimestampAuthority[];
}

/** What a bundle-verification case says about timestamps; undefined if its bundle cannot be read, as is the flaw of some. */
function readCase(folder: string): TimestampCase | undefined {
  const parse = (name: string) => {
    try {
      return JSON.parse(readFileSync(join(folder, name), 'utf8'));
    } catch {
      return undefined;
    }
  };
  const bundle = parse('bundle.sigstore.json');
  const timestamps: { signedTimestamp: string }[] =
    bundle?.verificationMaterial?.timestampVerificationData?.rfc3161Timestamps ?? [];
  if (timestamps.length === 0) return undefined;
  const trustedRoot = parse('trusted_root.json') ?? parse('../../../trust/public-good.trusted_root.json');
  return {
    timestamps: timestamps.map(({ signedTimestamp }) => parseBase64(signedTimestamp)),
    signature: parseBase64(bundle.messageSignature?.signature ?? bundle.dsseEnvelope.signatures[0].sig),
    authorities: trustedRoot.timestampAuthorities.map((each: AuthorityJson) => ({
      chain: each.certChain.certificates.map(({ rawBytes }) => parseCertificate(parseBase64(rawBytes))),
      validFor: { start: new Date(each.validFor.start), end: each.validFor.end && new Date(each.validFor.end) },
    })),
  };
}

interface AuthorityJson {
  certChain: { certificates: { rawBytes: string }[] };
  validFor: { start: string; end?: string };
}
