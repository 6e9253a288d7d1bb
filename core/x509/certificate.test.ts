import { describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import {
  boolean,
  contextTag,
  element,
  explicit,
  integer,
  namedBits,
  nullValue,
  octetString,
  oid,
  sequence,
  TAG,
} from '../asn1/der.ts';
import { concat, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { MAX_CERTIFICATE_BYTES } from '../limits.ts';
import { errorOf } from '../testing.ts';
import { parseCertificate, parseCertificatesPem, serializeCertificatePem } from './certificate.ts';
import { OID } from './oids.ts';
import {
  corpusItems,
  issue,
  issueAuthority,
  leafExtensions,
  NOT_AFTER,
  NOT_BEFORE,
  tbsFields,
  withExtensions,
  withFields,
} from './testing.ts';

const root = issueAuthority('root', undefined, { pathLength: 1 });
const { certificate: leaf } = issue({ issuer: root, extensions: leafExtensions(root, 'codeSigning') });

const invalid = (der: Uint8Array, problem: string): void => {
  const error = errorOf(() => parseCertificate(der));
  expect(error.code).toBe('CERTIFICATE_INVALID');
  expect(error.message).toStartWith('not a certificate: ');
  expect(error.message).toContain(problem);
};

const withField = (index: number, field: Uint8Array): Uint8Array =>
  withFields(leaf, tbsFields(leaf).with(index, field));

describe('what real certificates say', () => {
  const items = corpusItems('certificates');
  test.skipIf(items.length === 0)('every certificate of the test data reads as OpenSSL reads it', () => {
    expect(items.length).toBeGreaterThan(40);
    for (const { der, path } of items) {
      const ours = parseCertificate(der);
      const theirs = new X509Certificate(der);
      expect(BigInt(`0x${serializeHex(ours.serialNumber)}`), path).toBe(BigInt(`0x${theirs.serialNumber}`));
      expect(ours.notBefore, path).toEqual(new Date(theirs.validFrom));
      expect(ours.notAfter, path).toEqual(new Date(theirs.validTo));
      expect(ours.isCa, path).toBe(theirs.ca);
      expect(ours.extendedKeyUsage ?? [], path).toEqual(theirs.keyUsage ?? []);
      expect(Buffer.from(ours.publicKey.spki), path).toEqual(theirs.publicKey.export({ format: 'der', type: 'spki' }));
      expect(Buffer.from(ours.der), path).toEqual(theirs.raw);
    }
  });

  test('a leaf and its authority', () => {
    expect(root.certificate).toMatchObject({ isCa: true, pathLength: 1, keyUsage: new Set([5, 6]) });
    expect(leaf).toMatchObject({
      isCa: false,
      pathLength: undefined,
      keyUsage: new Set([0]),
      extendedKeyUsage: [OID.codeSigning],
      subjectKeyId: undefined,
      signatureAlgorithm: OID.ecdsaWithSha256,
      notBefore: NOT_BEFORE,
      notAfter: NOT_AFTER,
    });
    expect(leaf.authorityKeyId).toEqual(root.certificate.subjectKeyId as Uint8Array);
    expect(leaf.issuerName).toEqual(root.certificate.subjectName);
  });

  test('a serial number that fills 160 bits', () => {
    const digits = new Uint8Array(20).fill(0xff);
    const der = withField(1, element(TAG.integer, Uint8Array.of(0), digits));
    expect(parseCertificate(der).serialNumber).toEqual(digits);
  });

  test('the certificate does not change with the bytes that it was read from', () => {
    const bytes = leaf.der.slice();
    const certificate = parseCertificate(bytes);
    bytes.fill(0);
    expect(certificate.der).toEqual(leaf.der);
    expect(certificate.publicKey.spki).toEqual(leaf.spki);
  });

  test('PEM, of one and of several', () => {
    const pem = serializeCertificatePem(leaf) + serializeCertificatePem(root.certificate);
    expect(parseCertificatesPem(pem).map(({ der }) => der)).toEqual([leaf.der, root.certificate.der]);
  });
});

describe('refused, by flaw', () => {
  test('data after the certificate', () => invalid(concat(leaf.der, Uint8Array.of(0)), 'data after'));
  test('truncated', () => invalid(leaf.der.subarray(0, -1), 'truncated'));
  test('empty', () => invalid(new Uint8Array(), 'found the end'));
  test('larger than the bound', () => invalid(new Uint8Array(MAX_CERTIFICATE_BYTES + 1), 'larger than'));
  test('indefinite length', () => invalid(concat(Uint8Array.of(0x30, 0x80), leaf.der), 'indefinite'));
  test('version 1', () => invalid(withFields(leaf, tbsFields(leaf).slice(1)), 'version'));
  test('version 2', () => invalid(withField(0, explicit(0, integer(1))), 'version'));
  test('serial number zero', () => invalid(withField(1, integer(0)), 'serial number zero'));
  test('serial number negative', () => invalid(withField(1, element(TAG.integer, Uint8Array.of(0x80))), 'negative'));
  test('serial number of 21 bytes', () =>
    invalid(withField(1, element(TAG.integer, new Uint8Array(21).fill(1))), 'serial number longer'));
  test('serial number not minimal', () => invalid(withField(1, element(TAG.integer, Uint8Array.of(0, 1))), 'minimal'));
  test('signature algorithm inside differs from the one outside', () =>
    invalid(withField(2, sequence(oid(OID.ecdsaWithSha384))), 'two different signature algorithms'));
  test('signature algorithm with parameters that it does not take', () => {
    const algorithm = sequence(oid(OID.ecdsaWithSha256), integer(1));
    const tbs = sequence(...tbsFields(leaf).with(2, algorithm));
    invalid(sequence(tbs, algorithm, element(TAG.bitString, Uint8Array.of(0, 1))), 'after the last');
  });
  test('time with a fraction', () => {
    const time = element(TAG.generalizedTime, serializeUtf8('20260101000000.5Z'));
    invalid(withField(4, sequence(time, time)), 'fraction');
  });
  test('time without seconds', () => {
    const time = element(TAG.utcTime, serializeUtf8('2601010000Z'));
    invalid(withField(4, sequence(time, time)), 'bad time');
  });
  test('unique identifier', () =>
    invalid(withFields(leaf, tbsFields(leaf).toSpliced(7, 0, element(contextTag(1, false), Uint8Array.of(0, 1)))), ''));
  test('signature with unused bits', () => {
    const tbs = sequence(...tbsFields(leaf));
    const algorithm = tbsFields(leaf)[2] as Uint8Array;
    invalid(sequence(tbs, algorithm, element(TAG.bitString, Uint8Array.of(1, 2))), 'unused bits');
  });
});

describe('extensions refused, by flaw', () => {
  const extension = (type: string, value: Uint8Array): Uint8Array => sequence(oid(type), octetString(value));
  const refused = (problem: string, ...extensions: Uint8Array[]): void =>
    invalid(withExtensions(leaf, ...extensions), problem);

  test('the same twice', () => {
    const twin = extension('1.2.3', nullValue());
    refused('extension 1.2.3 twice', twin, extension('1.2.4', nullValue()), twin);
  });
  test('none in the list', () => refused('empty list'));
  test('critical FALSE written out', () =>
    refused('default value', sequence(oid('1.2.3'), boolean(false), octetString(nullValue()))));
  test('an element too many', () => refused('after', sequence(oid('1.2.3'), octetString(nullValue()), nullValue())));
  test('path length on a certificate that is no authority', () =>
    refused('path length', extension(OID.basicConstraints, sequence(integer(0)))));
  test('authority FALSE written out', () =>
    refused('default value', extension(OID.basicConstraints, sequence(boolean(false)))));
  test('negative path length', () =>
    refused(
      'negative',
      extension(OID.basicConstraints, sequence(boolean(true), element(TAG.integer, Uint8Array.of(0xff)))),
    ));
  test('key usage without a bit', () => refused('without a bit', extension(OID.keyUsage, namedBits())));
  test('key usage with trailing zeros', () =>
    refused('minimal', extension(OID.keyUsage, element(TAG.bitString, Uint8Array.of(0, 0x80)))));
  test('extended key usage without a purpose', () =>
    refused('without a purpose', extension(OID.extendedKeyUsage, sequence())));
  test('data after the value of a known extension', () =>
    refused('data after', extension(OID.keyUsage, concat(namedBits(0), nullValue()))));
});

test('an unreadable public key is told when it is asked for', () => {
  const certificate = parseCertificate(withField(6, sequence(sequence(oid('1.2.3')), element(3, Uint8Array.of(0, 1)))));
  expect(errorOf(() => certificate.publicKey).code).toBe('KEY_UNSUPPORTED');
});
