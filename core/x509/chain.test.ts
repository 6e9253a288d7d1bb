import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { nullValue, oid, sequence } from '../asn1/der.ts';
import { VerificationError } from '../errors.ts';
import { MAX_CHAIN_CERTIFICATES } from '../limits.ts';
import { errorOf } from '../testing.ts';
import { distinguishedName, serializeTbsCertificate, signCertificate } from './build.ts';
import { type Certificate, type Extension, parseCertificate } from './certificate.ts';
import { type CertificateUsage, verifyChain } from './chain.ts';
import {
  authorityKeyIdExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
  precertificatePoisonExtension,
} from './extensions.ts';
import { organization } from './names.ts';
import { OID } from './oids.ts';
import {
  corpusItems,
  flipped,
  type Holder,
  issue,
  issueAuthority,
  keyId,
  keyOf,
  leafExtensions,
  NOON,
  NOT_AFTER,
  NOT_BEFORE,
} from './testing.ts';

// How long an RSA key takes to be made is a matter of luck: seconds where the machine is busy.
setDefaultTimeout(60_000);

const root = issueAuthority('root');
const intermediate = issueAuthority('intermediate', root, { pathLength: 0 });
const signer = issue({ issuer: intermediate, extensions: leafExtensions(intermediate, 'codeSigning') });
const MINUTE = 60_000;

const chain = (
  leaf: Holder,
  between: readonly Holder[],
  options: { anchors?: readonly Holder[]; at?: Date; usage?: CertificateUsage } = {},
): Certificate[] =>
  verifyChain(
    leaf.certificate,
    between.map(({ certificate }) => certificate),
    (options.anchors ?? [root]).map(({ certificate }) => certificate),
    options.at ?? NOON,
    options.usage ?? 'codeSigning',
  );

const refused = (run: () => unknown, code: string, sentence: string): void => {
  const error = errorOf(run);
  expect(error).toBeInstanceOf(VerificationError);
  expect((error as VerificationError).step).toBe('certificate');
  expect(error.message).toContain(sentence);
  expect(error.code).toBe(code as typeof error.code);
};

/** A leaf below the intermediate with these extensions instead of the usual ones. */
const leafWith = (...extensions: Extension[]): Holder => issue({ issuer: intermediate, extensions });
const usual = leafExtensions(intermediate, 'codeSigning');
const [keyUsage, purpose] = usual as [Extension, Extension];

describe('accepted', () => {
  test('leaf, intermediate, root', () => {
    const expected = [signer, intermediate, root].map(({ certificate }) => certificate);
    expect(chain(signer, [intermediate])).toEqual(expected);
  });
  test('leaf directly below the root', () => {
    const leaf = issue({ issuer: root, extensions: leafExtensions(root, 'codeSigning') });
    expect(chain(leaf, [])).toHaveLength(2);
  });
  test('an anchor that is not self-signed', () => {
    expect(chain(signer, [], { anchors: [intermediate] })).toHaveLength(2);
  });
  test('intermediates in any order, with others among them', () => {
    const above = issueAuthority('above', root);
    const below = issueAuthority('below', above);
    const leaf = issue({ issuer: below, extensions: leafExtensions(below, 'codeSigning') });
    expect(chain(leaf, [intermediate, below, root, above])).toHaveLength(4);
  });
  test('without key identifiers, by name and signature', () => {
    expect(chain(leafWith(keyUsage, purpose), [intermediate])).toHaveLength(3);
  });
  test('the first and the last instant of a certificate', () => {
    expect(chain(signer, [intermediate], { at: NOT_BEFORE })).toHaveLength(3);
    expect(chain(signer, [intermediate], { at: NOT_AFTER })).toHaveLength(3);
  });
  test('an authority whose purpose is any', () => {
    const any: Extension = { ...extendedKeyUsageExtension('codeSigning'), value: sequence(anyPurpose()) };
    const authority = issueAuthority('any purpose', root, { more: [any] });
    const leaf = issue({ issuer: authority, extensions: leafExtensions(authority, 'codeSigning') });
    expect(chain(leaf, [authority])).toHaveLength(3);
  });
  test('the authority that is valid, of two with one name and key', () => {
    const old = issueAuthority('intermediate', root, { notAfter: new Date(NOT_BEFORE.getTime() + MINUTE) });
    expect(chain(signer, [old, intermediate])).toHaveLength(3);
  });
  test('a self-issued authority does not count for the path length', () => {
    const narrow = issueAuthority('narrow', root, { pathLength: 0 });
    const key = keyOf('narrow, renewed');
    const extensions = narrow.certificate.extensions.slice(0, 2);
    const renewed = issue({ name: 'narrow', key, issuer: narrow, extensions });
    const leaf = issue({ issuer: renewed, extensions: leafExtensions(renewed, 'codeSigning') });
    expect(chain(leaf, [renewed], { anchors: [narrow] })).toHaveLength(3);
  });
  test.each(['p384', 'p521', 'ed25519', 'rsa'] as const)('an authority with a key of kind %s', (kind) => {
    const authority = issueAuthority(`authority ${kind}`, undefined, { kind });
    const leaf = issue({ issuer: authority, extensions: leafExtensions(authority, 'codeSigning') });
    expect(chain(leaf, [], { anchors: [authority] })).toHaveLength(2);
    const forged = { ...leaf.certificate, signature: flipped(leaf.certificate.signature, 12) };
    refused(
      () => verifyChain(forged, [], [authority.certificate], NOON, 'codeSigning'),
      'CERTIFICATE_UNTRUSTED',
      'no trusted authority',
    );
  });
  test('a timestamp authority', () => {
    const leaf = issue({ issuer: root, extensions: leafExtensions(root, 'timeStamping') });
    expect(chain(leaf, [], { usage: 'timeStamping' })).toHaveLength(2);
  });

  const items = corpusItems('certificates');
  test.skipIf(items.length === 0)('every Fulcio certificate of the test data has its authority there', () => {
    const all = items.map(({ der }) => parseCertificate(der));
    const authorities = all.filter(({ isCa }) => isCa);
    const roots = authorities.filter(({ subjectName, issuerName }) => Buffer.compare(subjectName, issuerName) === 0);
    const leaves = all
      .filter(({ extendedKeyUsage, isCa }) => !isCa && extendedKeyUsage?.[0] === OID.codeSigning)
      .filter(({ issuerName }) => organization(issuerName) !== 'GitHub, Inc.') // Its root is not among the data.
      .filter(({ notBefore }) => notBefore.getUTCFullYear() < 2030); // The flaw of one bundle.
    expect(leaves.length).toBeGreaterThan(20);
    const chains = leaves.map((leaf) => {
      const issuers = authorities.filter(({ subjectName }) => Buffer.compare(subjectName, leaf.issuerName) === 0);
      return verifyChain(leaf, issuers, roots, leaf.notBefore, 'codeSigning');
    });
    expect(new Set(chains.map(({ length }) => length))).toEqual(new Set([2, 3]));
  });
});

const anyPurpose = (): Uint8Array => oid(OID.anyExtendedKeyUsage);

describe('refused for its time, by flaw', () => {
  test('certificate expired', () =>
    refused(
      () => chain(signer, [intermediate], { at: new Date('2026-01-02T00:00:00.001Z') }),
      'CERTIFICATE_EXPIRED',
      'certificate expired at 2026-01-02T00:00:00Z, before the signing time 2026-01-02T00:00:00.001Z',
    ));
  test('certificate not valid yet', () =>
    refused(
      () => chain(signer, [intermediate], { at: new Date('2025-12-31T23:59:59Z') }),
      'CERTIFICATE_EXPIRED',
      'certificate was not valid before 2026-01-01T00:00:00Z, the signing time is 2025-12-31T23:59:59Z',
    ));
  test('expired intermediate', () => {
    const old = issueAuthority('old', root, { notAfter: new Date(NOT_BEFORE.getTime() + MINUTE) });
    const leaf = issue({ issuer: old, extensions: leafExtensions(old, 'codeSigning') });
    refused(() => chain(leaf, [old]), 'CERTIFICATE_EXPIRED', 'issuing certificate expired at');
  });
  test('expired root', () => {
    const old = issueAuthority('old root', undefined, { notAfter: new Date(NOT_BEFORE.getTime() + MINUTE) });
    const leaf = issue({ issuer: old, extensions: leafExtensions(old, 'codeSigning') });
    refused(() => chain(leaf, [], { anchors: [old] }), 'CERTIFICATE_EXPIRED', 'issuing certificate expired at');
  });
  test('an invalid date is a broken invariant', () => {
    expect(() => chain(signer, [intermediate], { at: new Date(Number.NaN) })).toThrow('internal:');
  });
});

describe('refused for its issuer, by flaw', () => {
  const untrusted = (run: () => unknown, sentence = 'no trusted authority issued the certificate'): void =>
    refused(run, 'CERTIFICATE_UNTRUSTED', sentence);

  test('no anchor', () => untrusted(() => chain(signer, [intermediate], { anchors: [] })));
  test('intermediate missing', () => untrusted(() => chain(signer, [])));
  test('self-signed root among the intermediates is no anchor', () =>
    untrusted(() => chain(signer, [intermediate, root], { anchors: [issueAuthority('another')] })));
  test('authority with the right name and another key', () => {
    const impostor = issue({ name: 'root', key: keyOf('impostor'), extensions: root.certificate.extensions });
    untrusted(() => chain(signer, [intermediate], { anchors: [impostor] }));
  });
  test('authority with the right key and another name', () => {
    const renamed = issue({ name: 'renamed', key: root.key, extensions: root.certificate.extensions });
    untrusted(() => chain(signer, [intermediate], { anchors: [renamed] }));
  });
  test('key identifier of another authority', () => {
    const leaf = leafWith(keyUsage, purpose, authorityKeyIdExtension(keyId(root)));
    untrusted(() => chain(leaf, [intermediate]));
  });
  test('self-signed leaf', () => {
    const leaf = issue({ name: 'alone', extensions: [keyUsage, purpose] });
    untrusted(() => chain(leaf, [leaf], { anchors: [root] }));
    refused(() => chain(leaf, [], { anchors: [leaf] }), 'CERTIFICATE_UNTRUSTED', 'no trusted authority');
  });
  test('signature algorithm that does not suit the key', () => {
    const authority = issueAuthority('authority ed25519', undefined, { kind: 'ed25519' });
    const leaf = issue({ issuer: authority, extensions: leafExtensions(authority, 'codeSigning') });
    const mislabelled = { ...leaf.certificate, signatureAlgorithm: OID.ecdsaWithSha256 };
    // The first look would remember the pair: a fresh certificate has not been seen.
    untrusted(() => verifyChain(mislabelled, [], [authority.certificate], NOON, 'codeSigning'));
  });
  test('authority with an unreadable key', () => {
    const authority = issueAuthority('unreadable');
    const broken: Certificate = {
      ...authority.certificate,
      spki: sequence(nullValue()),
      get publicKey(): never {
        return parseCertificate(new Uint8Array()) as never;
      },
    };
    const leaf = issue({ issuer: authority, extensions: leafExtensions(authority, 'codeSigning') });
    untrusted(() => verifyChain(leaf.certificate, [], [broken], NOON, 'codeSigning'));
  });
  test('more intermediates than the bound', () => {
    const many = Array.from({ length: MAX_CHAIN_CERTIFICATES + 1 }, () => intermediate);
    untrusted(() => chain(signer, many), 'more than 10 intermediate certificates');
  });
  test('authorities that certify each other in a circle', () => {
    const a = issueAuthority('a', issueAuthority('b'));
    const b = issueAuthority('b', a);
    const leaf = issue({ issuer: a, extensions: leafExtensions(a, 'codeSigning') });
    untrusted(() => chain(leaf, [a, b]));
  });
  test('a maze of authorities is left after a bounded number of steps', () => {
    // Ten authorities with one name and one key: each could have issued each, so the paths among them are millions.
    const seed = issueAuthority('maze');
    const maze = Array.from({ length: MAX_CHAIN_CERTIFICATES }, () => issueAuthority('maze', seed));
    const leaf = issue({ issuer: seed, extensions: leafExtensions(seed, 'codeSigning') });
    untrusted(() => chain(leaf, maze), 'more than 32 possible issuers');
  });
});

describe('refused for its use, by flaw', () => {
  const misused = (run: () => unknown, sentence: string): void => refused(run, 'CERTIFICATE_USAGE', sentence);
  const below = (authority: Holder): Holder =>
    issue({ issuer: authority, extensions: leafExtensions(authority, 'codeSigning') });

  test('leaf is an authority', () => {
    const authority = issueAuthority('sub', intermediate, { more: [purpose] });
    misused(() => chain(authority, [intermediate]), 'certificate is that of an authority');
  });
  test('leaf must not make signatures', () => {
    const leaf = leafWith(keyUsageExtension('crlSign'), purpose);
    misused(() => chain(leaf, [intermediate]), 'certificate is not for signatures');
  });
  test('leaf without a purpose', () =>
    misused(() => chain(leafWith(keyUsage), [intermediate]), 'certificate is not for code signing'));
  test('leaf for time stamping used to sign code', () => {
    const leaf = leafWith(keyUsage, extendedKeyUsageExtension('timeStamping', true));
    misused(() => chain(leaf, [intermediate]), 'certificate is not for code signing');
  });
  test('leaf for any purpose', () => {
    const leaf = leafWith(keyUsage, { ...purpose, value: sequence(anyPurpose()) });
    misused(() => chain(leaf, [intermediate]), 'certificate is not for code signing');
  });
  test('leaf for code signing used for timestamps', () =>
    misused(() => chain(signer, [intermediate], { usage: 'timeStamping' }), 'certificate is not for time stamping'));
  test('timestamp leaf for more than time stamping', () => {
    const stamping = extendedKeyUsageExtension('timeStamping', true);
    const both = sequence(stamping.value.subarray(2), purpose.value.subarray(2));
    const leaf = leafWith(keyUsage, { ...stamping, value: both });
    misused(() => chain(leaf, [intermediate], { usage: 'timeStamping' }), 'more than time stamping');
  });
  test('timestamp leaf whose purpose is not critical', () => {
    const leaf = leafWith(keyUsage, extendedKeyUsageExtension('timeStamping', false));
    misused(() => chain(leaf, [intermediate], { usage: 'timeStamping' }), 'does not mark time stamping as critical');
  });
  test('issuer is no authority', () => {
    const leaf = issue({ issuer: signer, extensions: [keyUsage, purpose] });
    misused(() => chain(leaf, [signer, intermediate]), 'issuing certificate is not that of an authority');
  });
  test('anchor is no authority', () => {
    const leaf = issue({ issuer: signer, extensions: [keyUsage, purpose] });
    misused(() => chain(leaf, [], { anchors: [signer] }), 'issuing certificate is not that of an authority');
  });
  test('authority must not sign certificates', () => {
    const extensions = root.certificate.extensions.with(0, keyUsageExtension('crlSign'));
    const authority = issue({ name: 'no certificates', issuer: root, extensions: extensions.toSpliced(2, 1) });
    misused(() => chain(below(authority), [authority]), 'issuing certificate must not sign certificates');
  });
  test('path length exceeded', () => {
    const narrow = issueAuthority('narrow anchor', undefined, { pathLength: 0 });
    const authority = issueAuthority('one too many', narrow);
    misused(
      () => chain(below(authority), [authority], { anchors: [narrow] }),
      'allows 0 authorities below it, found 1',
    );
  });
  test('authority for another purpose', () => {
    const authority = issueAuthority('stamps', root, { more: [extendedKeyUsageExtension('timeStamping', true)] });
    misused(() => chain(below(authority), [authority]), 'issuing certificate is not for code signing');
  });
  test('unknown critical extension of the leaf', () => {
    const leaf = leafWith(keyUsage, purpose, { oid: '1.2.3.4', critical: true, value: nullValue() });
    misused(() => chain(leaf, [intermediate]), 'certificate has the critical extension 1.2.3.4');
  });
  test('unknown critical extension of an authority', () => {
    const more = [{ oid: '1.2.3.4', critical: true, value: nullValue() }];
    const authority = issueAuthority('odd', root, { more });
    misused(() => chain(below(authority), [authority]), 'issuing certificate has the critical extension 1.2.3.4');
  });
  test('an unknown extension that is not critical is fine', () => {
    const leaf = leafWith(keyUsage, purpose, { oid: '1.2.3.4', critical: false, value: nullValue() });
    expect(chain(leaf, [intermediate])).toHaveLength(3);
  });
  test('precertificate', () => {
    const leaf = leafWith(keyUsage, purpose, precertificatePoisonExtension());
    misused(() => chain(leaf, [intermediate]), 'critical extension 1.3.6.1.4.1.11129.2.4.3');
  });
  test.each([true, false])('name constraints, critical %p', (critical) => {
    const authority = issueAuthority('narrow names', root, {
      more: [{ oid: OID.nameConstraints, critical, value: sequence() }],
    });
    misused(() => chain(below(authority), [authority]), 'issuing certificate constrains names');
  });
});

test('a verified pair of issuer and certificate is remembered, its forgery is not', () => {
  const leaf = issue({ issuer: root, extensions: leafExtensions(root, 'codeSigning') });
  let looks = 0;
  const counting: Certificate = {
    ...root.certificate,
    get publicKey() {
      looks++;
      return root.certificate.publicKey;
    },
  };
  const look = (certificate: Certificate): Certificate[] =>
    verifyChain(certificate, [], [counting], NOON, 'codeSigning');
  look(leaf.certificate);
  look(leaf.certificate);
  expect(looks).toBe(1);
  const tbs = flipped(leaf.certificate.tbs, 20);
  expect(errorOf(() => look({ ...leaf.certificate, tbs })).code).toBe('CERTIFICATE_UNTRUSTED');
  const signature = flipped(leaf.certificate.signature, 20);
  expect(errorOf(() => look({ ...leaf.certificate, signature })).code).toBe('CERTIFICATE_UNTRUSTED');
});

test('no bit of a certificate can be turned', () => {
  const { der } = signer.certificate;
  for (let at = 0; at < der.length; at++) {
    for (const mask of [0x01, 0x80]) {
      // A typed error, or errorOf itself throws.
      const run = (): unknown =>
        verifyChain(
          parseCertificate(flipped(der, at, mask)),
          [intermediate.certificate],
          [root.certificate],
          NOON,
          'codeSigning',
        );
      expect(['input', 'verification'], `byte ${at}`).toContain(errorOf(run).kind);
    }
  }
});

test('a name of another encoding is another name', () => {
  const printable = distinguishedName({ organization: 'test', commonName: 'root' });
  const at = printable.indexOf(0x0c);
  const tbs = serializeTbsCertificate({
    serialNumber: Uint8Array.of(9),
    issuerKey: root.key.publicKey,
    issuerName: flipped(printable, at, 0x0c ^ 0x13),
    subjectName: distinguishedName({}),
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    spki: signer.certificate.spki,
    extensions: [keyUsage, purpose],
  });
  const leaf = parseCertificate(signCertificate(tbs, root.key));
  refused(
    () => verifyChain(leaf, [], [root.certificate], NOON, 'codeSigning'),
    'CERTIFICATE_UNTRUSTED',
    'no trusted authority',
  );
});
