import { describe, expect, test } from 'bun:test';
import { generateKeyPairSync } from 'node:crypto';
import { serializeBase64, serializeUtf8 } from '../core/bytes/bytes.ts';
import { generateKey, type PrivateKey, parsePrivateKey, sign } from '../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { StorageError } from '../core/errors.ts';
import type { Peer } from '../core/http/front-end.ts';
import { loadPeculiarX509 } from '../core/x509/testing.ts';
import { createCaChain } from './chain.ts';
import { issuerTable } from './issuers.ts';
import { random } from './testing.ts';

import {
  authority,
  CI_URL,
  CLAIMS,
  caKey,
  ISSUER_URL,
  NOW,
  PEER,
  root,
  rootKey,
  SECONDS,
  signerKey,
  token,
  v2Body,
} from './testing-authority.ts';

describe('requests that are refused as the reference refuses them', () => {
  const TOKEN = 'There was an error processing the identity token';
  const PROOF = 'The signature supplied in the request could not be verified';
  const KEY = 'The public key supplied in the request could not be parsed';
  const WEAK = 'The public key supplied in the request is insecure';
  const REQUEST = 'The certificate signing request could not be parsed';

  /** An RSA key that the parser takes and the CA does not. */
  function rsaKey(bits: number, publicExponent = 65537): PrivateKey {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: bits, publicExponent });
    return parsePrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, undefined);
  }
  function pemOf(kind: 'rsa1024' | 'p224' | 'x25519'): string {
    const pair =
      kind === 'rsa1024'
        ? generateKeyPairSync('rsa', { modulusLength: 1024 })
        : kind === 'p224'
          ? generateKeyPairSync('ec', { namedCurve: 'secp224r1' })
          : generateKeyPairSync('x25519');
    return pair.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  }
  function withKey(content: string) {
    const body = v2Body();
    return { ...body, publicKeyRequest: { ...body.publicKeyRequest, publicKey: { content } } };
  }
  function withProof(proofOfPossession: string) {
    const body = v2Body();
    return { ...body, publicKeyRequest: { ...body.publicKeyRequest, proofOfPossession } };
  }
  const credentials = v2Body().credentials;

  const flaws: [flaw: string, body: () => unknown, message: string][] = [
    ['no token', () => ({ ...v2Body(), credentials: null }), TOKEN],
    ['expired token', () => v2Body(signerKey, CLAIMS.email, token({ exp: SECONDS - 1 })), TOKEN],
    ['token for another audience', () => v2Body(signerKey, CLAIMS.email, token({ aud: 'other' })), TOKEN],
    ['token of another issuer', () => v2Body(signerKey, CLAIMS.email, token({ iss: 'https://evil.example' })), TOKEN],
    ['unverified email', () => v2Body(signerKey, CLAIMS.email, token({ email_verified: false })), TOKEN],
    ['email_verified missing', () => v2Body(signerKey, CLAIMS.email, token({ email_verified: undefined })), TOKEN],
    ['no email', () => v2Body(signerKey, CLAIMS.sub, token({ email: undefined })), TOKEN],
    ['email that is none', () => v2Body(signerKey, 'root', token({ email: 'root' })), TOKEN],
    [
      'workflow without its claims',
      () => v2Body(signerKey, 'x', token({ iss: CI_URL, sub: 'x', email: undefined })),
      TOKEN,
    ],
    ['no key', () => ({ credentials, publicKeyRequest: {} }), KEY],
    ['key that is no PEM', () => withKey('key'), KEY],
    ['two keys', () => withKey(serializePublicKeyPem(signerKey.publicKey).repeat(2)), KEY],
    ['private key', () => withKey('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'), KEY],
    ['RSA of 1024 bits', () => withKey(pemOf('rsa1024')), WEAK],
    ['P-224', () => withKey(pemOf('p224')), WEAK],
    ['X25519', () => withKey(pemOf('x25519')), WEAK],
    ['RSA of an odd size', () => v2Body(rsaKey(2304)), WEAK],
    ['RSA exponent not 65537', () => v2Body(rsaKey(2048, 65539)), WEAK],
    ['no proof of possession', () => withProof(''), PROOF],
    [
      'proof by another key',
      () => withProof(serializeBase64(sign(generateKey('p256'), serializeUtf8(CLAIMS.email)))),
      PROOF,
    ],
    ['proof over somebody else', () => v2Body(signerKey, 'eve@example.com'), PROOF],
    [
      'proof with another hash',
      () => withProof(serializeBase64(sign(signerKey, serializeUtf8(CLAIMS.email), 'sha512'))),
      PROOF,
    ],
    [
      'signing request that is none',
      () => ({ credentials, certificateSigningRequest: serializeBase64(serializeUtf8('x')) }),
      REQUEST,
    ],
    [
      'certificate as signing request',
      () => ({ credentials, certificateSigningRequest: serializeBase64(root.der) }),
      REQUEST,
    ],
  ];
  for (const [flaw, body, message] of flaws)
    test(flaw, async () => {
      const { post, log } = authority();
      const response = await post('/api/v2/signingCert', body());
      expect(response.status).toBe(400);
      const answer = (await response.json()) as { code: number; message: string; details: unknown[] };
      expect(answer.message).toStartWith(message);
      expect([answer.code, answer.details]).toEqual([3, []]);
      expect(log.logged).toHaveLength(0);
    });

  test('signing request changed after signing', async () => {
    const { Pkcs10CertificateRequestGenerator } = await loadPeculiarX509();
    const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
    const der = new Uint8Array(
      (
        await Pkcs10CertificateRequestGenerator.create({
          name: 'CN=aaaa',
          keys,
          signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
        })
      ).rawData,
    );
    der[Buffer.from(der).indexOf('aaaa')] = 0x62;
    const response = await authority().post('/api/v2/signingCert', {
      credentials,
      certificateSigningRequest: serializeBase64(der),
    });
    expect(response.status).toBe(400);
    expect(((await response.json()) as { message: string }).message).toContain('signature is wrong');
  });

  for (const [flaw, body] of [
    ['not JSON', 'x'],
    ['a list', '[]'],
    ['a key twice', '{"credentials":{},"credentials":{}}'],
    ['two spellings of one field', '{"publicKeyRequest":{},"public_key_request":{}}'],
    ['neither key nor signing request', '{}'],
    ['token that is no text', '{"credentials":{"oidcIdentityToken":1},"publicKeyRequest":{}}'],
    ['proof that is no base64', '{"publicKeyRequest":{"proofOfPossession":"$$"}}'],
    ['nested without end', '['.repeat(100_000)],
  ] as const)
    test(`body: ${flaw}`, async () => {
      const response = await authority().post('/api/v2/signingCert', body);
      expect(response.status).toBe(400);
      expect(((await response.json()) as { code: number }).code).toBe(3);
    });
  test('body of more than 256 KiB', async () => {
    expect((await authority().post('/api/v2/signingCert', `"${'x'.repeat(256 * 1024)}"`)).status).toBe(413);
  });
});

describe('faults of this side', () => {
  test('a CT log that fails is 500, reported, and its cause stays here', async () => {
    const { post, reported } = authority({ ctLog: () => Promise.reject(new Error('disk full')) });
    const response = await post('/api/v2/signingCert', v2Body());
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ code: 13, message: 'Error entering certificate in CTL', details: [] });
    expect((reported[0] as Error).cause).toEqual(new Error('disk full'));
  });
  test('a CT log that has too much to do is 503 with Retry-After, and no fault', async () => {
    const overloaded = new StorageError('OVERLOADED', 'too many entries wait');
    const { post, reported } = authority({ ctLog: () => Promise.reject(overloaded) });
    const response = await post('/api/v2/signingCert', v2Body());
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    expect(reported).toEqual([]);
  });
  test('an expired issuing certificate issues nothing', async () => {
    const { post, log } = authority({
      clock: () => NOW,
      chain: createCaChain({
        rootKey,
        key: caKey.publicKey,
        organization: 'Test',
        now: new Date('2010-01-01'),
        random,
      }),
    });
    expect((await post('/api/v2/signingCert', v2Body())).status).toBe(500);
    expect(log.logged).toHaveLength(0);
  });
  test('an issuer whose keys cannot be had is 503', async () => {
    const issuers = issuerTable([
      { url: ISSUER_URL, audience: 'sigstore', type: 'email', emailVerification: 'required' },
    ]);
    const { post } = authority({ issuers });
    const response = await post('/api/v2/signingCert', v2Body());
    expect(response.status).toBe(503);
    expect(((await response.json()) as { code: number }).code).toBe(14);
  });
});

describe('the rate of an identity', () => {
  const stranger = { address: '192.0.2.7', loopback: false, client: '192.0.2.7' };
  const other = token({ sub: 'bob@example.com', email: 'bob@example.com' });
  const ask = async (ca: ReturnType<typeof authority>, body: object, peer: Peer = stranger): Promise<Response> =>
    ca.post('/api/v2/signingCert', body, {}, peer);

  test('beyond it the answer is 429 with Retry-After, for that identity alone and wherever it comes from', async () => {
    const ca = authority();
    expect((await ask(ca, v2Body())).status).toBe(200);
    expect((await ask(ca, v2Body(), { ...stranger, client: '192.0.2.8' })).status).toBe(200);
    const refused = await ask(ca, v2Body());
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '10']);
    expect(((await refused.json()) as { code: number }).code).toBe(8);
    expect(ca.log.logged).toHaveLength(2);
    expect((await ask(ca, v2Body(signerKey, 'bob@example.com', other))).status).toBe(200);
  });

  test('is not used up by who has no token of it', async () => {
    const ca = authority();
    for (let i = 0; i < 5; i++)
      expect((await ask(ca, v2Body(signerKey, CLAIMS.email, `${token()}x`))).status).toBe(400);
    expect((await ask(ca, v2Body())).status).toBe(200);
  });

  test('is not limited on this machine', async () => {
    const ca = authority();
    for (let i = 0; i < 5; i++) expect((await ask(ca, v2Body(), PEER)).status).toBe(200);
  });
});
