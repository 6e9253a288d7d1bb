/** Test only: a CA with keys, issuers and a clock of its own, and requests to it. */
import { expect } from 'bun:test';
import { serializeBase64, serializeUtf8 } from '../core/bytes/bytes.ts';
import { generateKey, type PrivateKey, sign } from '../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../core/crypto/public-key.ts';
import type { Peer } from '../core/http/front-end.ts';
import { createMetrics } from '../core/metrics.ts';
import { type Certificate, parseCertificatesPem } from '../core/x509/certificate.ts';
import { createCertificateAuthority } from './authority.ts';
import { createCaChain } from './chain.ts';
import { type Issuer, issuerTable } from './issuers.ts';
import { memoryCtLog, random, signToken } from './testing.ts';

export const NOW = new Date('2026-03-01T12:00:00.750Z');
export const SECONDS = Math.floor(NOW.getTime() / 1000);
export const ISSUER_URL = 'http://127.0.0.1:8080/oidc';
export const CI_URL = 'https://token.actions.githubusercontent.com';
export const BASE = 'http://127.0.0.1:8080';
export const PEER = { address: '127.0.0.1', loopback: true };

export const rootKey = generateKey('p256');
export const caKey = generateKey('p256');
export const tokenKey = generateKey('rsa', 2048);
export const jwks = async () => ({ keys: [{ ...tokenKey.publicKey.native.export({ format: 'jwk' }), kty: 'RSA' }] });
export const chain = createCaChain({ rootKey, key: caKey.publicKey, organization: 'Test', now: NOW, random });
export const root = chain[1] as Certificate;

export const ISSUERS: Issuer[] = [
  { url: ISSUER_URL, audience: 'sigstore', type: 'email', emailVerification: 'required', jwks },
  { url: CI_URL, audience: 'sigstore', type: 'github-workflow', serverUrl: 'https://github.com', jwks },
  { url: 'https://users.example', audience: 'sigstore', type: 'username', subjectDomain: 'example', jwks },
];

export function authority(changes: Partial<Parameters<typeof createCertificateAuthority>[0]> = {}) {
  const log = memoryCtLog(() => NOW);
  const reported: unknown[] = [];
  const ca = createCertificateAuthority({
    key: caKey,
    chain,
    issuers: issuerTable(ISSUERS),
    ctLog: log.ctLog,
    clock: () => NOW,
    random,
    metrics: createMetrics(),
    rate: { perMinute: 6, burst: 2 },
    fetch: () => Promise.reject(new Error('nothing is fetched here')),
    report: (problem) => reported.push(problem),
    ...changes,
  });
  const call = async (path: string, init?: RequestInit, peer: Peer = PEER): Promise<Response> => {
    const request = new Request(BASE + path, init);
    const response = await ca.handle(request, new URL(request.url), peer);
    if (!response) throw new Error(`no answer for ${path}`);
    return response;
  };
  const post = (
    path: string,
    body: unknown,
    headers: Record<string, string> = {},
    peer: Peer = PEER,
  ): Promise<Response> =>
    call(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), headers }, peer);
  return { ca, call, post, log, reported };
}

export const CLAIMS = {
  iss: ISSUER_URL,
  sub: 'ada@example.com',
  aud: 'sigstore',
  iat: SECONDS,
  exp: SECONDS + 60,
  email: 'ada@example.com',
  email_verified: true,
};
export const token = (changes: object = {}): string => signToken(tokenKey, { alg: 'RS256' }, { ...CLAIMS, ...changes });

export const signerKey = generateKey('p256');

export function v2Body(key: PrivateKey = signerKey, message = CLAIMS.email, identityToken = token()) {
  return {
    credentials: { oidcIdentityToken: identityToken },
    publicKeyRequest: {
      publicKey: { algorithm: 'ECDSA', content: serializePublicKeyPem(key.publicKey) },
      proofOfPossession: serializeBase64(sign(key, serializeUtf8(message))),
    },
  };
}

export async function certificatesOf(response: Response): Promise<Certificate[]> {
  expect(response.status).toBe(200);
  const body = (await response.json()) as { signedCertificateEmbeddedSct: { chain: { certificates: string[] } } };
  expect(Object.keys(body)).toEqual(['signedCertificateEmbeddedSct']);
  return body.signedCertificateEmbeddedSct.chain.certificates.flatMap(parseCertificatesPem);
}
