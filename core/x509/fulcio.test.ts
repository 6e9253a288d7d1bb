import { describe, expect, test } from 'bun:test';
import { octetString, oid, sequence, utf8String } from '../asn1/der.ts';
import { concat, serializeUtf8 } from '../bytes/bytes.ts';
import { errorOf } from '../testing.ts';
import { parseCertificate } from './certificate.ts';
import {
  FULCIO_CLAIMS,
  type FulcioClaimName,
  type FulcioClaims,
  fulcioClaims,
  oidcIssuer,
  serializeFulcioClaims,
} from './fulcio.ts';
import { corpusItems, issue, withExtensions } from './testing.ts';

const { certificate } = issue({ extensions: serializeFulcioClaims({ issuerV2: 'https://issuer.example' }) });
const withClaim = (arc: number, value: Uint8Array): ReturnType<typeof parseCertificate> =>
  parseCertificate(withExtensions(certificate, sequence(oid(`1.3.6.1.4.1.57264.1.${arc}`), octetString(value))));

describe('claims', () => {
  test('round trip of all of them, in the order of their numbers', () => {
    const names = Object.keys(FULCIO_CLAIMS) as FulcioClaimName[];
    const claims: FulcioClaims = Object.fromEntries(names.map((name) => [name, `value of ${name}`]));
    const extensions = serializeFulcioClaims(claims);
    expect(extensions.map(({ oid }) => Number(oid.split('.').at(-1)))).toEqual([
      1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
    ]);
    expect(extensions.some(({ critical }) => critical)).toBe(false);
    expect(fulcioClaims(issue({ extensions }).certificate)).toEqual(claims);
  });

  test('the first six are bare, the later ones DER', () => {
    const [bare, der] = serializeFulcioClaims({ issuer: 'x', issuerV2: 'x' });
    expect(bare?.value).toEqual(serializeUtf8('x'));
    expect(der?.value).toEqual(utf8String('x'));
  });

  test('empty ones are left out', () => {
    expect(serializeFulcioClaims({ issuerV2: '', buildTrigger: 'push' }).map(({ oid }) => oid)).toEqual([
      '1.3.6.1.4.1.57264.1.20',
    ]);
  });

  const items = corpusItems('certificates');
  test.skipIf(items.length === 0)('of the certificates in the test data', () => {
    const issuers = items.map(({ der }) => oidcIssuer(parseCertificate(der))).filter((issuer) => issuer !== undefined);
    expect(issuers.length).toBeGreaterThan(20);
    for (const issuer of issuers) expect(issuer).toMatch(/^https:\/\/[a-z.]+/);
    expect(issuers).toContain('https://token.actions.githubusercontent.com');
  });
});

describe('issuer', () => {
  test('the newer extension counts where there are both', () => {
    const extensions = serializeFulcioClaims({ issuer: 'https://old.example', issuerV2: 'https://new.example' });
    expect(oidcIssuer(issue({ extensions }).certificate)).toBe('https://new.example');
  });
  test('the older one serves alone', () => {
    const extensions = serializeFulcioClaims({ issuer: 'https://old.example' });
    expect(oidcIssuer(issue({ extensions }).certificate)).toBe('https://old.example');
  });
});

describe('refused, by flaw', () => {
  test('bare text where DER belongs', () => {
    expect(errorOf(() => fulcioClaims(withClaim(8, serializeUtf8('https://issuer.example')))).code).toBe(
      'CERTIFICATE_INVALID',
    );
  });
  test('data after the text', () => {
    const value = concat(utf8String('https://issuer.example'), Uint8Array.of(0));
    expect(errorOf(() => fulcioClaims(withClaim(8, value))).code).toBe('CERTIFICATE_INVALID');
  });
  test('text that is no UTF-8', () => {
    expect(errorOf(() => fulcioClaims(withClaim(1, Uint8Array.of(0xc3)))).code).toBe('ENCODING_INVALID');
  });
});
