import { beforeAll, describe, expect, test } from 'bun:test';
import type * as Peculiar from '@peculiar/x509';
import { DerReader, integer, sequence } from '../asn1/der.ts';
import { concat } from '../bytes/bytes.ts';
import { MAX_CERTIFICATE_BYTES } from '../limits.ts';
import { errorOf } from '../testing.ts';
import { parseCertificateRequest } from './csr.ts';
import { commonName } from './names.ts';
import { flipped, issueAuthority, loadPeculiarX509 } from './testing.ts';

let x509: typeof Peculiar;
beforeAll(async () => {
  x509 = await loadPeculiarX509();
});

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A request of @peculiar/x509 with the keys of an algorithm of WebCrypto. */
async function request(keyAlgorithm: Parameters<typeof crypto.subtle.generateKey>[0]): Promise<Uint8Array> {
  const keys = (await crypto.subtle.generateKey(keyAlgorithm as 'Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair;
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=requester',
    keys,
    signingAlgorithm: keyAlgorithm as never,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'email', value: 'c@example.com' }])],
  });
  return new Uint8Array(made.rawData);
}

test.each([
  ['P-256', 'p256', algorithm],
  ['P-384', 'p384', { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' }],
  [
    'RSA',
    'rsa',
    { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) },
  ],
  ['Ed25519', 'ed25519', { name: 'Ed25519' }],
] as const)('a signing request with a key for %s', async (_name, kind, keyAlgorithm) => {
  const parsed = parseCertificateRequest(await request(keyAlgorithm as never));
  expect(parsed.publicKey.kind).toBe(kind);
  expect(commonName(parsed.subjectName)).toBe('requester');
});

describe('refused, by flaw', () => {
  test('every turned bit of a signing request', async () => {
    const der = await request(algorithm);
    for (let at = 0; at < der.length; at++)
      expect(errorOf(() => parseCertificateRequest(flipped(der, at))).kind, `byte ${at}`).toBe('input');
  });

  test('signing request signed with another key', async () => {
    const [one, two] = [await request(algorithm), await request(algorithm)];
    const info = elements(one)[0] as Uint8Array;
    const der = sequence(info, ...elements(two).slice(1));
    const error = errorOf(() => parseCertificateRequest(der));
    expect(error.code).toBe('CERTIFICATE_INVALID');
    expect(error.message).toContain('its signature is wrong');
  });

  test('a certificate is no signing request', () => {
    expect(errorOf(() => parseCertificateRequest(issueAuthority('root').certificate.der)).code).toBe(
      'CERTIFICATE_INVALID',
    );
  });

  /** A request with other elements in its signed part: version, subject, key, attributes. Its signature is wrong then, but later. */
  async function edited(edit: (fields: Uint8Array[]) => Uint8Array[]): Promise<Uint8Array> {
    const [info, ...rest] = elements(await request(algorithm));
    return sequence(sequence(...edit(elements(info as Uint8Array))), ...rest);
  }
  test.each<[string, string, (fields: Uint8Array[]) => Uint8Array[]]>([
    ['version 2', 'version is not 1', (fields) => fields.with(0, integer(1))],
    ['no subject name', 'no subject name', (fields) => fields.with(1, integer(1))],
    ['no attributes', 'expected tag 0xa0', (fields) => fields.slice(0, 3)],
    ['an element after the attributes', 'data after', (fields) => [...fields, integer(1)]],
  ])('%s', async (_flaw, problem, edit) => {
    const der = await edited(edit);
    const error = errorOf(() => parseCertificateRequest(der));
    expect(error.code).toBe('CERTIFICATE_INVALID');
    expect(error.message).toContain(problem);
  });
  test('data after the request', async () => {
    const der = concat(await request(algorithm), Uint8Array.of(0));
    expect(errorOf(() => parseCertificateRequest(der)).message).toContain('data after');
  });
  test('larger than the bound', () => {
    const der = new Uint8Array(MAX_CERTIFICATE_BYTES + 1);
    expect(errorOf(() => parseCertificateRequest(der)).message).toContain('larger than');
  });
});

/** The elements of an outer SEQUENCE. */
function elements(der: Uint8Array): Uint8Array[] {
  const reader = new DerReader(der).sequence();
  const found: Uint8Array[] = [];
  while (!reader.done) found.push(reader.element().encoding);
  return found;
}
