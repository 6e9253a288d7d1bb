import { describe, expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { integer, oid, sequence } from '../core/asn1/der.ts';
import { concat, serializeBase64, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import { generateKey } from '../core/crypto/private-key.ts';
import { createMetrics } from '../core/metrics.ts';
import { serializeTimestampRequest, type TimestampRequest } from '../core/timestamp/request.ts';
import { parseTimestampResponse } from '../core/timestamp/response.ts';
import { verifyTimestamp } from '../core/timestamp/verify.ts';
import { parseCertificatesPem } from '../core/x509/certificate.ts';
import { createTsaChain } from './chain.ts';
import { random } from './testing.ts';
import { createTimestampAuthority } from './timestamp.ts';

const NOW = new Date('2026-03-01T12:00:00.750Z');
const BASE = 'http://127.0.0.1:8080';
const PEER = { address: '127.0.0.1', loopback: true };
const POLICY = '1.3.6.1.4.1.57264.2';
const key = generateKey('p256');
const chain = createTsaChain({
  rootKey: generateKey('p256'),
  key: key.publicKey,
  organization: 'Test',
  now: NOW,
  random,
});
const trusted = { chain, validFor: { start: new Date('2026-01-01'), end: undefined } };
const SIGNED = serializeUtf8('signature');
const REQUEST: TimestampRequest = { imprint: { hash: 'sha256', digest: sha256(SIGNED) }, certificateRequested: true };

async function call(path: string, init?: RequestInit, clock = () => NOW): Promise<Response> {
  const request = new Request(BASE + path, init);
  const response = await createTimestampAuthority({ key, chain, clock, random, metrics: createMetrics() }).handle(
    request,
    new URL(request.url),
    PEER,
  );
  if (!response) throw new Error(`no answer for ${path}`);
  return response;
}
const post = (body: Uint8Array | string, type: string, clock?: () => Date): Promise<Response> =>
  call(
    '/api/v1/timestamp',
    { method: 'POST', body: body as NonNullable<RequestInit['body']>, headers: { 'content-type': type } },
    clock,
  );
const query = (request: Partial<TimestampRequest>): Promise<Response> =>
  post(serializeTimestampRequest({ ...REQUEST, ...request }), 'application/timestamp-query');
const jsonQuery = (changes: object): Promise<Response> =>
  post(
    JSON.stringify({ artifactHash: serializeBase64(sha256(SIGNED)), hashAlgorithm: 'sha256', ...changes }),
    'application/json',
  );
const bytesOf = async (response: Response): Promise<Uint8Array> => {
  expect(response.status).toBe(201);
  expect(response.headers.get('content-type')).toBe('application/timestamp-reply');
  return new Uint8Array(await response.arrayBuffer());
};

describe('timestamps', () => {
  for (const hash of ['sha256', 'sha384', 'sha512'] as const)
    test(`over ${hash} in DER`, async () => {
      const digest = new Uint8Array(createHash(hash).update(SIGNED).digest());
      const response = await bytesOf(await query({ imprint: { hash, digest }, nonce: 2n ** 70n }));
      expect(verifyTimestamp(response, SIGNED, [trusted]).time).toEqual(new Date('2026-03-01T12:00:00Z'));
      const { info } = parseTimestampResponse(response);
      expect([info.nonce, info.policy]).toEqual([2n ** 70n, POLICY]);
    });
  test('asked for in JSON, without certificates by default', async () => {
    const response = await bytesOf(await jsonQuery({ future: 1, nonce: null }));
    expect(verifyTimestamp(response, SIGNED, [trusted]).authority).toBe(trusted);
    expect(parseTimestampResponse(response).certificates).toHaveLength(0);
  });
  test('asked for in JSON with everything', async () => {
    const response = await bytesOf(
      await jsonQuery({ hashAlgorithm: 'SHA256', nonce: 7, certificates: true, tsaPolicyOID: POLICY }),
    );
    verifyTimestamp(response, SIGNED, [trusted]);
    expect(parseTimestampResponse(response).info.nonce).toBe(7n);
    expect(parseTimestampResponse(response).certificates).toHaveLength(1);
  });
  test('each has its own serial number', async () => {
    const serials = await Promise.all(
      [1, 2].map(async () => parseTimestampResponse(await bytesOf(await query({}))).info.serialNumber),
    );
    expect(serials[0]).not.toEqual(serials[1] as never);
  });
  test('the chain goes from leaf to root', async () => {
    const response = await call('/api/v1/timestamp/certchain');
    expect(parseCertificatesPem(await response.text()).map(({ der }) => der)).toEqual(chain.map(({ der }) => der));
  });
});

describe('requests that are refused', () => {
  /** A TimeStampReq of given fields after the version. */
  const raw = (...fields: Uint8Array[]): Promise<Response> =>
    post(sequence(integer(1), ...fields), 'application/timestamp-query');
  const imprint = (algorithm: string, bytes: number): Uint8Array =>
    sequence(sequence(oid(algorithm)), concat(Uint8Array.of(4, bytes), new Uint8Array(bytes)));
  const SHA1 = '1.3.14.3.2.26';
  const SHA256 = '2.16.840.1.101.3.4.2.1';

  const flaws: [flaw: string, ask: () => Promise<Response>][] = [
    ['SHA-1 in DER', () => raw(imprint(SHA1, 20))],
    ['SHA-1 in JSON', () => jsonQuery({ hashAlgorithm: 'sha1', artifactHash: serializeBase64(new Uint8Array(20)) })],
    ['digest too short in DER', () => raw(imprint(SHA256, 20))],
    ['digest too short in JSON', () => jsonQuery({ artifactHash: serializeBase64(new Uint8Array(20)) })],
    ['digest missing', () => jsonQuery({ artifactHash: null })],
    ['hash named like a member of every object', () => jsonQuery({ hashAlgorithm: 'constructor' })],
    ['other policy in DER', () => query({ policy: '1.2.3' })],
    ['other policy in JSON', () => jsonQuery({ tsaPolicyOID: '1.2.3' })],
    ['extensions', () => raw(imprint(SHA256, 32), Uint8Array.of(0xa0, 0))],
    ['nonce that JSON does not hold exactly', () => jsonQuery({ nonce: 2 ** 60 })],
    ['nonce as text', () => jsonQuery({ nonce: '7' })],
    [
      'data after the request',
      () => post(concat(serializeTimestampRequest(REQUEST), Uint8Array.of(0)), 'application/timestamp-query'),
    ],
    ['JSON sent as DER', () => post('{}', 'application/timestamp-query')],
    ['empty', () => post('', 'application/timestamp-query')],
    ['JSON that is none', () => post('x', 'application/json')],
  ];
  for (const [flaw, ask] of flaws)
    test(flaw, async () => {
      const response = await ask();
      expect(response.status).toBe(400);
      expect(((await response.json()) as { code: number }).code).toBe(400);
    });
  test('GHSA-4qg8-fj49-pxjh: endless object identifier', async () => {
    expect((await jsonQuery({ tsaPolicyOID: `1${'.1'.repeat(100_000)}` })).status).toBe(400);
    const arcs = concat(Uint8Array.of(6, 0x83, 1, 0, 0), new Uint8Array(0x10000).fill(1));
    expect((await raw(imprint(SHA256, 32), arcs)).status).toBe(400);
  });
  test('GHSA-4qg8-fj49-pxjh: endless Content-Type', async () => {
    expect((await post('{}', 'application/'.repeat(1000))).status).toBe(415);
  });
  for (const type of ['application/xml', 'text/plain', '__proto__'])
    test(`Content-Type ${type}`, async () => {
      expect((await post('{}', type)).status).toBe(415);
    });
  test('body of more than 1 MiB', async () => {
    expect((await post(new Uint8Array(1024 * 1024 + 1), 'application/timestamp-query')).status).toBe(413);
  });
  test('other methods', async () => {
    expect((await call('/api/v1/timestamp')).status).toBe(405);
    expect((await call('/api/v1/timestamp/certchain', { method: 'POST' })).status).toBe(405);
  });
  test('an expired authority stamps nothing', async () => {
    const response = await post(
      serializeTimestampRequest(REQUEST),
      'application/timestamp-query',
      () => new Date('2046-01-01'),
    );
    expect(response.status).toBe(500);
  });
  test('paths of others are left alone', () => {
    const { handle } = createTimestampAuthority({ key, chain, clock: () => NOW, random, metrics: createMetrics() });
    expect(
      handle(new Request(`${BASE}/api/v1/timestamps`), new URL(`${BASE}/api/v1/timestamps`), PEER),
    ).toBeUndefined();
  });
});
