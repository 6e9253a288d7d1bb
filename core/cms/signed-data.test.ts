import { describe, expect, test } from 'bun:test';
import { contextTag, element, explicit, integer, octetString, oid, sequence, setOf, TAG } from '../asn1/der.ts';
import { concat, serializeUtf8 } from '../bytes/bytes.ts';
import { MAX_CMS_ATTRIBUTES, MAX_CMS_BYTES, MAX_CMS_CERTIFICATES, MAX_CMS_SIGNERS } from '../limits.ts';
import { errorOf } from '../testing.ts';
import { OID } from '../x509/oids.ts';
import { issue, issueAuthority, leafExtensions } from '../x509/testing.ts';
import { findAttribute, parseSignedData } from './signed-data.ts';
import { attribute, buildSignedData, type SignedDataOptions } from './testing.ts';

const root = issueAuthority('root');
const signer = issue({ issuer: root, extensions: leafExtensions(root, 'codeSigning') });
const content = serializeUtf8('content');

const build = (options: Partial<SignedDataOptions> = {}): Uint8Array =>
  buildSignedData({ signer, content, ...options });

describe('read', () => {
  test('the parts of a message', () => {
    const parsed = parseSignedData(build({ certificates: [root.certificate.der, signer.certificate.der] }));
    expect(parsed).toMatchObject({ contentType: OID.data, content });
    expect(parsed.certificates).toEqual([root.certificate.der, signer.certificate.der]);
    const [info] = parsed.signerInfos;
    expect(info).toMatchObject({
      signerId: { kind: 'issuerAndSerialNumber', serialNumber: signer.certificate.serialNumber },
      digestAlgorithm: OID.sha256,
      signatureAlgorithm: OID.ecdsaWithSha256,
      unsignedAttributes: [],
    });
    expect(info?.signedAttributes?.contentType).toBe(OID.data);
    expect(info?.signedAttributes?.signedBytes[0]).toBe(TAG.set);
  });

  test('detached, without certificates', () => {
    expect(parseSignedData(build({ detached: true, certificates: [] }))).toMatchObject({
      content: undefined,
      certificates: [],
    });
  });

  test('an empty set of certificates, as the reference timestamp authority writes it', () => {
    const der = build({ certificates: [], signedData: (fields) => fields.toSpliced(3, 0, element(contextTag(0))) });
    expect(parseSignedData(der).certificates).toEqual([]);
  });

  test('no signed attributes', () => {
    const der = build({ signerInfo: (fields) => fields.toSpliced(3, 1) });
    expect(parseSignedData(der).signerInfos[0]?.signedAttributes).toBeUndefined();
  });

  test('unsigned attributes', () => {
    const extra = element(contextTag(1), attribute('1.2.3', octetString(content)));
    const der = build({ signerInfo: (fields) => [...fields, extra] });
    const [info] = parseSignedData(der).signerInfos;
    expect(findAttribute(info?.unsignedAttributes ?? [], '1.2.3')).toEqual(octetString(content));
    expect(findAttribute(info?.unsignedAttributes ?? [], '1.2.4')).toBeUndefined();
  });
});

describe('refused, by flaw', () => {
  const invalid = (der: Uint8Array, problem: string): void => {
    const error = errorOf(() => parseSignedData(der));
    expect(error.code).toBe('CMS_INVALID');
    expect(error.message).toStartWith('not a CMS signature: ');
    expect(error.message).toContain(problem);
  };
  const signerInfo = (edit: SignedDataOptions['signerInfo']): Uint8Array => build({ signerInfo: edit ?? ((x) => x) });
  const signedData = (edit: SignedDataOptions['signedData']): Uint8Array => build({ signedData: edit ?? ((x) => x) });
  const attributes = (edit: SignedDataOptions['attributes']): Uint8Array => build({ attributes: edit ?? ((x) => x) });

  test('BER: indefinite length', () => invalid(Uint8Array.of(0x30, 0x80, 0, 0), 'indefinite length'));
  test('data after the message', () => invalid(concat(build(), Uint8Array.of(0)), 'data after'));
  test('truncated', () => invalid(build().subarray(0, -1), 'truncated'));
  test('larger than the bound', () => invalid(new Uint8Array(MAX_CMS_BYTES + 1), 'larger than'));
  test('not SignedData', () =>
    invalid(build({ contentInfo: (fields) => fields.with(0, oid(OID.data)) }), 'not SignedData'));
  test('an element after the SignedData', () =>
    invalid(
      build({ contentInfo: ([type, data]) => [type as Uint8Array, concat(data as Uint8Array, integer(1))] }),
      '',
    ));
  test('version 3 where the content makes it 1', () =>
    invalid(
      signedData((f) => f.with(0, integer(3))),
      'version',
    ));
  test('version 1 where the content makes it 3', () => {
    const der = build({ contentType: OID.timestampInfo, signedData: (fields) => fields.with(0, integer(1)) });
    invalid(der, 'version of SignedData wrong');
  });
  test('digest algorithm of the signer not announced', () =>
    invalid(
      signedData((f) => f.with(1, setOf())),
      'announced',
    ));
  test('content in pieces', () => {
    const pieces = sequence(oid(OID.data), explicit(0, element(0x24, octetString(content))));
    invalid(
      signedData((fields) => fields.with(2, pieces)),
      'expected tag 0x4',
    );
  });
  test('certificate of an obsolete kind', () =>
    invalid(
      signedData((fields) => fields.with(3, element(contextTag(0), explicit(1, sequence())))),
      'obsolete kind',
    ));
  test('revocation lists', () => {
    const lists = element(contextTag(1), sequence());
    invalid(
      signedData((fields) => fields.toSpliced(4, 0, lists)),
      'revocation lists',
    );
  });
  test('more certificates than the bound', () => {
    const certificates = Array.from({ length: MAX_CMS_CERTIFICATES + 1 }, () => sequence());
    invalid(build({ certificates }), 'more than 16 certificates');
  });
  test('more signers than the bound', () =>
    invalid(
      signedData((fields) => {
        const info = fields.at(-1)?.subarray(3) as Uint8Array;
        return fields.with(-1, setOf(...Array.from({ length: MAX_CMS_SIGNERS + 1 }, () => info)));
      }),
      'more than 4 signers',
    ));
  test('more attributes than the bound', () =>
    invalid(
      attributes((a) => [
        ...a,
        ...Array.from({ length: MAX_CMS_ATTRIBUTES }, (_, i) => attribute(`1.2.${i}`, sequence())),
      ]),
      'more than 32 attributes',
    ));
  test('version of the signer wrong', () =>
    invalid(
      signerInfo((f) => f.with(0, integer(3))),
      'version of SignerInfo',
    ));
  test('signer with a negative serial number', () => {
    const id = sequence(signer.certificate.issuerName, element(TAG.integer, Uint8Array.of(0x80)));
    invalid(
      signerInfo((fields) => fields.with(1, id)),
      'serial number negative',
    );
  });
  test('signer without issuer', () =>
    invalid(
      signerInfo((f) => f.with(1, sequence(integer(1)))),
      'name of its issuer',
    ));
  test('attribute twice', () =>
    invalid(
      attributes((a) => [...a, a[0] as Uint8Array]),
      'twice',
    ));
  test('attribute with two values', () =>
    invalid(
      attributes((a) => [...a, attribute('1.2.3', integer(1), integer(2))]),
      'data after',
    ));
  test('attribute without a value', () =>
    invalid(
      attributes((a) => [...a, attribute('1.2.3')]),
      'element missing',
    ));
  test('no content type among the signed attributes', () =>
    invalid(
      attributes((a) => a.slice(1)),
      OID.contentType,
    ));
  test('no digest among the signed attributes', () =>
    invalid(
      attributes((a) => a.slice(0, 1)),
      OID.messageDigest,
    ));
  test('empty set of signed attributes', () =>
    invalid(
      attributes(() => []),
      'no signed attribute',
    ));
  test('digest that is no OCTET STRING', () =>
    invalid(
      attributes((a) => a.with(1, attribute(OID.messageDigest, integer(1)))),
      'expected tag 0x4',
    ));
  test('an element after the signature', () =>
    invalid(
      signerInfo((f) => [...f, integer(1)]),
      'data after',
    ));
});
