import { describe, expect, test } from 'bun:test';
import {
  bitString,
  boolean,
  element,
  explicit,
  integer,
  octetString,
  oid,
  sequence,
  setOf,
  TAG,
  utf8String,
} from '../asn1/der.ts';
import { concat, serializeUtf8 } from '../bytes/bytes.ts';
import { sha256 } from '../crypto/hash.ts';
import { MAX_TIMESTAMP_BYTES } from '../limits.ts';
import { errorOf } from '../testing.ts';
import { OID } from '../x509/oids.ts';
import { corpusItems, issue, issueAuthority, leafExtensions, NOON } from '../x509/testing.ts';
import { parseTimestampResponse, parseTimestampToken } from './response.ts';
import { buildToken, critical, granted, type TokenOptions } from './testing.ts';

const root = issueAuthority('root');
const signer = issue({ name: 'tsa', issuer: root, extensions: leafExtensions(root, 'timeStamping') });
const signed = serializeUtf8('signature');
const token = (options: Partial<TokenOptions> = {}): Uint8Array => buildToken({ signer, signed, ...options });

describe('read', () => {
  test('a response and its token', () => {
    const parsed = parseTimestampResponse(granted(token()));
    expect(parsed.info).toEqual({
      policy: '1.2.3',
      imprint: { hash: 'sha256', digest: sha256(signed) },
      serialNumber: 7n,
      time: NOON,
      nonce: undefined,
    });
    expect(parsed.certificates).toEqual([signer.certificate.der]);
  });

  test('every optional field', () => {
    const optional = [
      sequence(integer(1), element(0x80, Uint8Array.of(5))),
      boolean(true),
      integer(99),
      explicit(0, explicit(4, signer.certificate.subjectName)),
      element(0xa1, sequence(oid('1.2.3'), octetString(sequence()))),
    ];
    expect(parseTimestampToken(token({ info: (fields) => [...fields, ...optional] })).info.nonce).toBe(99n);
  });

  test('a time with a fraction', () => {
    const time = element(TAG.generalizedTime, serializeUtf8('20260101120000.25Z'));
    expect(parseTimestampToken(token({ info: (fields) => fields.with(4, time) })).info.time).toEqual(
      new Date(NOON.getTime() + 250),
    );
  });

  test('a negative serial number, as older writers make them of random bytes', () => {
    const serial = element(TAG.integer, Uint8Array.of(0xde, 0xad));
    expect(parseTimestampToken(token({ info: (fields) => fields.with(3, serial) })).info.serialNumber).toBe(-0x2153n);
  });

  const items = corpusItems('timestamps');
  test.skipIf(items.length === 0)('every timestamp of the test data', () => {
    expect(items.length).toBeGreaterThanOrEqual(10);
    for (const { der, path } of items) {
      const { info } = parseTimestampResponse(der);
      expect(info.time.getUTCFullYear(), path).toBeGreaterThan(2022);
    }
  });
});

describe('refused, by flaw', () => {
  const invalid = (der: Uint8Array, problem: string): void => {
    const error = errorOf(() => parseTimestampResponse(der));
    expect(error.message).toContain(problem);
    expect(error.code).toBe('TIMESTAMP_INVALID');
  };
  const info = (edit: TokenOptions['info']): Uint8Array => granted(token({ info: edit ?? ((fields) => fields) }));

  test('refused by the authority', () => {
    const reason = sequence(integer(2), sequence(utf8String('no \u001b[31mway')), bitString(Uint8Array.of(1)));
    invalid(sequence(reason), 'the authority refused, status 2: "no \\u001b[31mway"');
  });
  test('granted with changes', () => invalid(sequence(sequence(integer(1)), token()), 'status 1'));
  test('granted without a timestamp', () => invalid(sequence(sequence(integer(0))), 'element missing'));
  test('a bare token where a response belongs', () => invalid(token(), 'expected tag 0x30, found 0x6'));
  test('data after the response', () => invalid(concat(granted(token()), Uint8Array.of(0)), 'data after'));
  test('data after the token', () => invalid(sequence(sequence(integer(0)), token(), integer(1)), 'data after'));
  test('larger than the bound', () => invalid(new Uint8Array(MAX_TIMESTAMP_BYTES + 1), 'larger than'));
  test('token larger than the bound', () => {
    const error = errorOf(() => parseTimestampToken(new Uint8Array(MAX_TIMESTAMP_BYTES + 1)));
    expect(error.code).toBe('TIMESTAMP_INVALID');
  });
  test('not CMS', () => invalid(granted(sequence(oid(OID.data))), 'not a CMS signature'));
  test('content of another type', () => invalid(granted(token({ contentType: '1.2.3' })), 'not a TSTInfo'));
  test('content detached', () => invalid(granted(token({ detached: true })), 'detached'));
  test('no signature', () =>
    invalid(granted(token({ signedData: (fields) => fields.with(-1, setOf()) })), '0 signatures instead of one'));
  test('two signatures', () => {
    const twice = (fields: Uint8Array[]): Uint8Array[] => {
      const one = fields.at(-1) as Uint8Array;
      const content = one.subarray((one[1] as number) & 0x80 ? 2 + ((one[1] as number) & 0x7f) : 2);
      return fields.with(-1, setOf(content, content));
    };
    invalid(granted(token({ signedData: twice })), '2 signatures instead of one');
  });
  test('TSTInfo of version 2', () =>
    invalid(
      info((fields) => fields.with(0, integer(2))),
      'version',
    ));
  test('imprint of SHA-1', () => {
    const imprint = sequence(sequence(oid(OID.sha1)), octetString(new Uint8Array(20)));
    invalid(
      info((fields) => fields.with(2, imprint)),
      'SHA-1 is not accepted',
    );
  });
  test('imprint of the wrong length', () => {
    const imprint = sequence(sequence(oid(OID.sha256)), octetString(new Uint8Array(20)));
    invalid(
      info((fields) => fields.with(2, imprint)),
      'digest has 20 bytes',
    );
  });
  test('policy with an endless arc', () => {
    const endless = element(TAG.oid, new Uint8Array(1000).fill(0x81));
    invalid(
      info((fields) => fields.with(1, endless)),
      'arc above 128 bits',
    );
  });
  test('serial number longer than 160 bits', () =>
    invalid(
      info((fields) => fields.with(3, element(TAG.integer, new Uint8Array(22).fill(1)))),
      'longer than',
    ));
  test('UTCTime instead of GeneralizedTime', () =>
    invalid(
      info((f) => f.with(4, element(TAG.utcTime, serializeUtf8('260101120000Z')))),
      'not a GeneralizedTime',
    ));
  test('a day that does not exist', () =>
    invalid(
      info((f) => f.with(4, element(TAG.generalizedTime, serializeUtf8('20260230120000Z')))),
      'bad time',
    ));
  test('ordering FALSE written out', () =>
    invalid(
      info((fields) => [...fields, boolean(false)]),
      'default value',
    ));
  test('unknown critical extension', () =>
    invalid(
      info((fields) => [...fields, critical('1.2.3')]),
      'critical extension',
    ));
  test('an element too many', () =>
    invalid(
      info((fields) => [...fields, octetString(signed)]),
      'data after',
    ));
});
