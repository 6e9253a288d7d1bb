import { describe, expect, test } from 'bun:test';
import { boolean, element, explicit, integer, octetString, oid, sequence, TAG } from '../asn1/der.ts';
import { concat, parseHex, serializeUtf8 } from '../bytes/bytes.ts';
import { hasOpenssl, openssl } from '../cms/testing.ts';
import { DIGEST_BYTES, digest, type HashName, sha256 } from '../crypto/hash.ts';
import { MAX_NONCE_BYTES, MAX_TIMESTAMP_REQUEST_BYTES } from '../limits.ts';
import { errorOf } from '../testing.ts';
import { OID } from '../x509/oids.ts';
import { parseTimestampRequest, serializeTimestampRequest, type TimestampRequest } from './request.ts';

const content = serializeUtf8('content');
const imprint = { hash: 'sha256', digest: sha256(content) } as const;

describe('round trip', () => {
  test.each<[string, TimestampRequest]>([
    ['the least', { imprint, policy: undefined, nonce: undefined, certificateRequested: false }],
    ['everything', { imprint, policy: '1.2.3', nonce: 2n ** 127n, certificateRequested: true }],
    ['a negative nonce', { imprint, policy: undefined, nonce: -12345n, certificateRequested: false }],
    ['nonce zero', { imprint, policy: undefined, nonce: 0n, certificateRequested: true }],
  ])('%s', (_name, request) => {
    expect(parseTimestampRequest(serializeTimestampRequest(request))).toEqual(request);
  });

  test.each(Object.keys(DIGEST_BYTES) as HashName[])('%s', (hash) => {
    const request = { imprint: { hash, digest: digest(hash, content) }, certificateRequested: false };
    expect(parseTimestampRequest(serializeTimestampRequest(request))).toMatchObject(request);
  });

  test.each([0n, 127n, 128n, 255n, 256n, -1n, -128n, -129n, 2n ** 159n, -(2n ** 159n)])('the nonce %p', (nonce) => {
    const request = { imprint, nonce, certificateRequested: false };
    expect(parseTimestampRequest(serializeTimestampRequest(request)).nonce).toBe(nonce);
  });
});

// Without openssl this is skipped, except where tests must not be.
test.skipIf(!hasOpenssl() && process.env['CI'] !== 'true')('a request of openssl ts', () => {
  const query = ['ts', '-query', '-data', 'data', '-sha512', '-cert', '-tspolicy', '1.2.3.4', '-out', 'out'];
  const parsed = parseTimestampRequest(openssl({ data: content }, query));
  expect(parsed).toMatchObject({
    imprint: { hash: 'sha512', digest: digest('sha512', content) },
    policy: '1.2.3.4',
    certificateRequested: true,
  });
  expect(parsed.nonce).toBeDefined();
});

describe('refused, by flaw', () => {
  const messageImprint = (algorithm: string, bytes: Uint8Array): Uint8Array =>
    sequence(sequence(oid(algorithm)), octetString(bytes));
  const good = messageImprint(OID.sha256, imprint.digest);
  const invalid = (der: Uint8Array, problem: string): void => {
    const error = errorOf(() => parseTimestampRequest(der));
    expect(error.message).toContain(problem);
    expect(error.code).toBe('TIMESTAMP_REQUEST_INVALID');
  };

  test('version 2', () => invalid(sequence(integer(2), good), 'version'));
  test('SHA-1', () => invalid(sequence(integer(1), messageImprint(OID.sha1, new Uint8Array(20))), 'SHA-1'));
  test('unknown hash', () => invalid(sequence(integer(1), messageImprint('1.2.3', new Uint8Array(20))), '1.2.3'));
  test('digest of the wrong length', () =>
    invalid(
      sequence(integer(1), messageImprint(OID.sha256, new Uint8Array(31))),
      'digest has 31 bytes, sha256 has 32',
    ));
  test('extensions', () => invalid(sequence(integer(1), good, explicit(0, sequence())), 'extensions'));
  test('nonce longer than the bound', () =>
    invalid(sequence(integer(1), good, element(TAG.integer, new Uint8Array(MAX_NONCE_BYTES + 1).fill(1))), 'longer'));
  test('policy with an endless arc', () =>
    invalid(sequence(integer(1), good, element(TAG.oid, new Uint8Array(1000).fill(0x81))), 'arc above 128 bits'));
  test('policy with more arcs than the bound', () =>
    invalid(sequence(integer(1), good, element(TAG.oid, new Uint8Array(1000).fill(1))), 'more than 32 arcs'));
  test('certReq FALSE written out', () => invalid(sequence(integer(1), good, boolean(false)), 'default value'));
  test('fields in another order', () => invalid(sequence(integer(1), good, integer(5), oid('1.2.3')), 'after'));
  test('data after the request', () => invalid(concat(sequence(integer(1), good), Uint8Array.of(0)), 'data after'));
  test('not DER at all', () => invalid(parseHex('7b7d'), 'expected tag 0x30'));
  test('larger than the bound', () => invalid(new Uint8Array(MAX_TIMESTAMP_REQUEST_BYTES + 1), 'larger than'));
});
