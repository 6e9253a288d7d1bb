import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { DerReader } from '../asn1/der.ts';
import { serializeUtf8 } from '../bytes/bytes.ts';
import { hasOpenssl, openssl } from '../cms/testing.ts';
import { sha256 } from '../crypto/hash.ts';
import { serializeCertificatePem } from '../x509/certificate.ts';
import { issue, issueAuthority, leafExtensions, NOON } from '../x509/testing.ts';
import { serializeTimestampResponse, type TimestampTemplate } from './issue.ts';
import { parseTimestampRequest, type TimestampRequest } from './request.ts';
import { parseTimestampResponse } from './response.ts';
import { verifyTimestamp } from './verify.ts';

// How long an RSA key takes to be made is a matter of luck: seconds where the machine is busy.
setDefaultTimeout(60_000);

const root = issueAuthority('tsa root');
const intermediate = issueAuthority('tsa intermediate', root);
const extensions = leafExtensions(intermediate, 'timeStamping');
const content = serializeUtf8('content');
const request: TimestampRequest = { imprint: { hash: 'sha256', digest: sha256(content) }, certificateRequested: true };

function template(
  options: Partial<TimestampTemplate> & { kind?: 'p256' | 'p384' | 'rsa' | 'ed25519' } = {},
): TimestampTemplate {
  const { kind = 'p256', ...rest } = options;
  const leaf = issue({ name: `tsa ${kind}`, issuer: intermediate, kind, extensions });
  return {
    request,
    serialNumber: Uint8Array.of(0xff, 1),
    time: NOON,
    policy: '1.3.6.1.4.1.57264.2',
    accuracySeconds: 1,
    chain: [leaf, intermediate, root].map(({ certificate }) => certificate),
    key: leaf.key,
    ...rest,
  };
}

const always = { start: undefined, end: undefined };

describe('what is issued verifies', () => {
  test.each(['p256', 'p384', 'rsa', 'ed25519'] as const)('with a key of kind %s', (kind) => {
    const made = template({ kind });
    const authority = { chain: made.chain, validFor: always };
    expect(verifyTimestamp(serializeTimestampResponse(made), content, [authority]).time).toEqual(NOON);
  });

  test('against the root alone, by the certificates that were asked for', () => {
    const authority = { chain: [root.certificate], validFor: always };
    expect(verifyTimestamp(serializeTimestampResponse(template()), content, [authority]).time).toEqual(NOON);
  });
});

describe('what is issued says', () => {
  test('the imprint, policy, serial number and nonce', () => {
    const asked = { ...request, nonce: -5n };
    const { info } = parseTimestampResponse(serializeTimestampResponse(template({ request: asked })));
    expect(info).toEqual({
      policy: '1.3.6.1.4.1.57264.2',
      imprint: request.imprint,
      serialNumber: 0xff01n,
      time: NOON,
      nonce: -5n,
    });
  });

  test('the time to the second', () => {
    const time = new Date(NOON.getTime() + 999);
    expect(parseTimestampResponse(serializeTimestampResponse(template({ time }))).info.time).toEqual(NOON);
  });

  test('an accuracy of one second, in the place after the time', () => {
    const { content: info } = parseTimestampResponse(serializeTimestampResponse(template()));
    const fields = new DerReader(info).sequence();
    for (let i = 0; i < 5; i++) fields.element();
    expect(fields.sequence().smallInteger()).toBe(1);
  });

  test('the certificates below the root if they were asked for, else none', () => {
    const asked = template();
    expect(parseTimestampResponse(serializeTimestampResponse(asked)).certificates).toEqual(
      asked.chain.slice(0, 2).map(({ der }) => der),
    );
    const silent = template({ request: { ...request, certificateRequested: false } });
    expect(parseTimestampResponse(serializeTimestampResponse(silent)).certificates).toEqual([]);
  });
});

// Without openssl these are skipped, except where tests must not be.
describe.skipIf(!hasOpenssl() && process.env['CI'] !== 'true')('openssl ts -verify accepts', () => {
  test.each([
    ['p256', ['-cert']],
    ['p256', []],
    ['p384', ['-cert', '-sha384']],
    ['rsa', ['-cert', '-sha512', '-no_nonce']],
  ] as const)('an answer with a key of kind %s to a request with %p', (kind, options) => {
    const query = openssl({ data: content }, ['ts', '-query', '-data', 'data', '-out', 'out', ...options]);
    const made = template({ kind, request: parseTimestampRequest(query) });
    const files = {
      query,
      response: serializeTimestampResponse(made),
      'root.pem': serializeCertificatePem(root.certificate),
      'chain.pem': made.chain.slice(0, 2).map(serializeCertificatePem).join(''),
    };
    const trust = ['-CAfile', 'root.pem', '-untrusted', 'chain.pem', '-attime', `${NOON.getTime() / 1000}`];
    const verify = ['ts', '-verify', '-queryfile', 'query', '-in', 'response', ...trust];
    expect(() => openssl(files, verify)).not.toThrow();
    const other = openssl({ data: 'other' }, ['ts', '-query', '-data', 'data', '-out', 'out', ...options]);
    expect(() => openssl({ ...files, query: other }, verify)).toThrow('Verification: FAILED');
  });
});
