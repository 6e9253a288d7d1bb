import { describe, expect, test } from 'bun:test';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { serializeBase64, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import type { KeyKind } from '../core/crypto/algorithms.ts';
import { generateKey, type PrivateKey, parsePrivateKey, sign } from '../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { type Certificate, parseCertificatesPem } from '../core/x509/certificate.ts';
import { verifyChain } from '../core/x509/chain.ts';
import { fulcioClaims } from '../core/x509/fulcio.ts';
import { subjectAlternativeNames } from '../core/x509/names.ts';
import { OID } from '../core/x509/oids.ts';
import { parseSctList, verifyEmbeddedScts } from '../core/x509/sct.ts';
import { loadPeculiarX509 } from '../core/x509/testing.ts';
import { createCertificateAuthority } from './authority.ts';
import { createCaChain } from './chain.ts';
import { type Issuer, issuerTable } from './issuers.ts';
import { memoryCtLog, random, signToken } from './testing.ts';

const NOW = new Date('2026-03-01T12:00:00.750Z');
const SECONDS = Math.floor(NOW.getTime() / 1000);
const ISSUER_URL = 'http://127.0.0.1:8080/oidc';
const CI_URL = 'https://token.actions.githubusercontent.com';
const BASE = 'http://127.0.0.1:8080';
const PEER = { address: '127.0.0.1', loopback: true };

const rootKey = generateKey('p256');
const caKey = generateKey('p256');
const tokenKey = generateKey('rsa', 2048);
const jwks = async () => ({ keys: [{ ...tokenKey.publicKey.native.export({ format: 'jwk' }), kty: 'RSA' }] });
const chain = createCaChain({ rootKey, key: caKey.publicKey, organization: 'Test', now: NOW, random });
const root = chain[1] as Certificate;

const ISSUERS: Issuer[] = [
  { url: ISSUER_URL, audience: 'sigstore', type: 'email', emailVerification: 'required', jwks },
  { url: CI_URL, audience: 'sigstore', type: 'github-workflow', serverUrl: 'https://github.com', jwks },
  { url: 'https://users.example', audience: 'sigstore', type: 'username', subjectDomain: 'example', jwks },
];

function authority(changes: Partial<Parameters<typeof createCertificateAuthority>[0]> = {}) {
  const log = memoryCtLog(() => NOW);
  const reported: unknown[] = [];
  const ca = createCertificateAuthority({
    key: caKey,
    chain,
    issuers: issuerTable(ISSUERS),
    ctLog: log.ctLog,
    clock: () => NOW,
    random,
    fetch: () => Promise.reject(new Error('nothing is fetched here')),
    report: (problem) => reported.push(problem),
    ...changes,
  });
  const call = async (path: string, init?: RequestInit): Promise<Response> => {
    const request = new Request(BASE + path, init);
    const response = await ca.handle(request, new URL(request.url), PEER);
    if (!response) throw new Error(`no answer for ${path}`);
    return response;
  };
  const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
    call(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), headers });
  return { ca, call, post, log, reported };
}

const CLAIMS = {
  iss: ISSUER_URL,
  sub: 'ada@example.com',
  aud: 'sigstore',
  iat: SECONDS,
  exp: SECONDS + 60,
  email: 'ada@example.com',
  email_verified: true,
};
const token = (changes: object = {}): string => signToken(tokenKey, { alg: 'RS256' }, { ...CLAIMS, ...changes });

const signerKey = generateKey('p256');

function v2Body(key: PrivateKey = signerKey, message = CLAIMS.email, identityToken = token()) {
  return {
    credentials: { oidcIdentityToken: identityToken },
    publicKeyRequest: {
      publicKey: { algorithm: 'ECDSA', content: serializePublicKeyPem(key.publicKey) },
      proofOfPossession: serializeBase64(sign(key, serializeUtf8(message))),
    },
  };
}

async function certificatesOf(response: Response): Promise<Certificate[]> {
  expect(response.status).toBe(200);
  const body = (await response.json()) as { signedCertificateEmbeddedSct: { chain: { certificates: string[] } } };
  expect(Object.keys(body)).toEqual(['signedCertificateEmbeddedSct']);
  return body.signedCertificateEmbeddedSct.chain.certificates.flatMap(parseCertificatesPem);
}

describe('POST /api/v2/signingCert', () => {
  test('issues a certificate that verifies, with its SCT and its profile', async () => {
    const { post, log } = authority();
    const response = await post('/api/v2/signingCert', v2Body());
    expect(response.headers.get('content-type')).toStartWith('application/json');
    const [leaf, intermediate, anchor] = (await certificatesOf(response)) as [Certificate, Certificate, Certificate];
    expect(anchor.der).toEqual(root.der);
    expect(verifyChain(leaf, [intermediate], [root], NOW, 'codeSigning')).toHaveLength(3);
    expect(verifyEmbeddedScts(leaf, intermediate, [log.logKey])).toHaveLength(1);

    expect(serializeHex(leaf.subjectName)).toBe('3000');
    expect(subjectAlternativeNames(leaf)).toEqual([{ kind: 'email', value: 'ada@example.com' }]);
    expect(fulcioClaims(leaf)).toEqual({ issuer: ISSUER_URL, issuerV2: ISSUER_URL, tokenSubject: 'ada@example.com' });
    expect(leaf.publicKey.spki).toEqual(signerKey.publicKey.spki);
    expect(leaf.notBefore).toEqual(new Date('2026-03-01T11:59:55Z'));
    expect(leaf.notAfter).toEqual(new Date('2026-03-01T12:10:00Z'));
    expect(leaf.extensions.map(({ oid, critical }) => `${oid}${critical ? ' critical' : ''}`)).toEqual([
      `${OID.keyUsage} critical`,
      OID.extendedKeyUsage,
      OID.authorityKeyIdentifier,
      `${OID.subjectAlternativeName} critical`,
      `${OID.fulcio}.1`,
      `${OID.fulcio}.8`,
      `${OID.fulcio}.24`,
      OID.sctList,
    ]);
    expect(leaf.keyUsage).toEqual(new Set([0]));
    expect(leaf.extendedKeyUsage).toEqual([OID.codeSigning]);
    expect(leaf.authorityKeyId).toEqual(intermediate.subjectKeyId as Uint8Array);
    expect(leaf.serialNumber.length).toBeGreaterThanOrEqual(16);
  });

  test('two other X.509 readers see the same certificate', async () => {
    const [leaf, intermediate] = (await certificatesOf(await authority().post('/api/v2/signingCert', v2Body()))) as [
      Certificate,
      Certificate,
    ];
    const native = new X509Certificate(leaf.der);
    expect(native.subjectAltName).toBe('email:ada@example.com');
    expect(native.subject).toBeFalsy();
    expect(native.verify(new X509Certificate(intermediate.der).publicKey)).toBe(true);
    expect(native.checkIssued(new X509Certificate(intermediate.der))).toBe(true);
    expect(native.ca).toBe(false);

    const { X509Certificate: Peculiar, AuthorityKeyIdentifierExtension } = await loadPeculiarX509();
    const peculiar = new Peculiar(new Uint8Array(leaf.der));
    expect(
      await peculiar.verify({
        publicKey: new Peculiar(new Uint8Array(intermediate.der)).publicKey,
        signatureOnly: true,
      }),
    ).toBe(true);
    expect(peculiar.subject).toBe('');
    expect(peculiar.notAfter).toEqual(leaf.notAfter);
    expect(peculiar.getExtension(AuthorityKeyIdentifierExtension)?.keyId).toBe(
      serializeHex(leaf.authorityKeyId as Uint8Array),
    );
  });

  test('the precertificate in the log is the certificate with the poison for its SCTs', async () => {
    const { post, log } = authority();
    const [leaf] = (await certificatesOf(await post('/api/v2/signingCert', v2Body()))) as [Certificate];
    const { X509Certificate: Peculiar } = await loadPeculiarX509();
    const [logged] = log.logged as [Uint8Array];
    const precertificate = new Peculiar(new Uint8Array(logged));
    expect(precertificate.extensions.map(({ type }) => type).at(-1)).toBe(OID.precertificatePoison);
    expect(precertificate.serialNumber).toBe(new Peculiar(new Uint8Array(leaf.der)).serialNumber);
    const sct = parseSctList(leaf.extensions.at(-1)?.value as Uint8Array)[0];
    expect(sct?.timestamp).toBe(BigInt(NOW.getTime()));
  });

  for (const kind of ['p256', 'p384', 'p521', 'ed25519', 'rsa'] as const satisfies KeyKind[])
    test(`a key of kind ${kind}`, async () => {
      const key = kind === 'rsa' ? generateKey(kind, 2048) : generateKey(kind);
      const [leaf] = await certificatesOf(await authority().post('/api/v2/signingCert', v2Body(key)));
      expect(leaf?.publicKey.spki).toEqual(key.publicKey.spki);
      expect(new X509Certificate((leaf as Certificate).der).publicKey.asymmetricKeyType).toBe(
        key.publicKey.native.asymmetricKeyType,
      );
    });

  test('the token may be in the header', async () => {
    const { credentials: _, ...body } = v2Body();
    const response = await authority().post('/api/v2/signingCert', body, { authorization: `Bearer ${token()}` });
    expect(await certificatesOf(response)).toHaveLength(3);
  });
  test('snake_case, null and unknown fields, as protojson reads them', async () => {
    const { credentials, publicKeyRequest } = v2Body();
    const body = {
      credentials: { oidc_identity_token: credentials.oidcIdentityToken },
      public_key_request: {
        public_key: publicKeyRequest.publicKey,
        proof_of_possession: publicKeyRequest.proofOfPossession
          .replace(/=+$/, '')
          .replaceAll('+', '-')
          .replaceAll('/', '_'),
      },
      certificateSigningRequest: null,
      future: { field: 1 },
    };
    expect(await certificatesOf(await authority().post('/api/v2/signingCert', body))).toHaveLength(3);
  });
  test('the proof may be over the token subject instead of the email address', async () => {
    const identityToken = token({ sub: 'user-1' });
    const response = await authority().post('/api/v2/signingCert', v2Body(signerKey, 'user-1', identityToken));
    const [leaf] = await certificatesOf(response);
    expect(subjectAlternativeNames(leaf as Certificate)).toEqual([{ kind: 'email', value: 'ada@example.com' }]);
  });

  test('a certificate signing request proves possession, and nothing else of it is used', async () => {
    const { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } = await loadPeculiarX509();
    const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
    const request = await Pkcs10CertificateRequestGenerator.create({
      name: 'CN=root@localhost',
      keys,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [new SubjectAlternativeNameExtension([{ type: 'email', value: 'eve@example.com' }])],
    });
    for (const certificateSigningRequest of [
      serializeBase64(serializeUtf8(request.toString('pem'))),
      serializeBase64(new Uint8Array(request.rawData)),
    ]) {
      const { credentials } = v2Body();
      const [leaf] = (await certificatesOf(
        await authority().post('/api/v2/signingCert', { credentials, certificateSigningRequest }),
      )) as [Certificate];
      expect(subjectAlternativeNames(leaf)).toEqual([{ kind: 'email', value: 'ada@example.com' }]);
      expect(leaf.publicKey.spki).toEqual(new Uint8Array(request.publicKey.rawData));
    }
  });

  test('a workflow gets its URI and claims', async () => {
    const claims = {
      iss: CI_URL,
      sub: 'repo:o/r:ref:refs/heads/main',
      email: undefined,
      job_workflow_ref: 'o/r/.github/workflows/release it.yml@refs/heads/main',
      job_workflow_sha: 'j'.repeat(40),
      sha: 's'.repeat(40),
      event_name: 'push',
      repository: 'o/r',
      repository_id: '1',
      repository_owner: 'o',
      repository_owner_id: 2,
      repository_visibility: 'public',
      workflow: 'Release',
      workflow_ref: 'o/r/.github/workflows/release.yml@refs/heads/main',
      workflow_sha: 'w'.repeat(40),
      ref: 'refs/heads/main',
      run_id: '3',
      run_attempt: '4',
      runner_environment: 'github-hosted',
    };
    const body = v2Body(signerKey, claims.sub, token(claims));
    const [leaf] = (await certificatesOf(await authority().post('/api/v2/signingCert', body))) as [Certificate];
    const uri = 'https://github.com/o/r/.github/workflows/release%20it.yml@refs/heads/main';
    expect(subjectAlternativeNames(leaf)).toEqual([{ kind: 'uri', value: uri }]);
    expect(fulcioClaims(leaf)).toEqual({
      issuer: CI_URL,
      issuerV2: CI_URL,
      githubWorkflowTrigger: 'push',
      githubWorkflowSha: claims.sha,
      githubWorkflowName: 'Release',
      githubWorkflowRepository: 'o/r',
      githubWorkflowRef: 'refs/heads/main',
      buildSignerUri: uri,
      buildSignerDigest: claims.job_workflow_sha,
      runnerEnvironment: 'github-hosted',
      sourceRepositoryUri: 'https://github.com/o/r',
      sourceRepositoryDigest: claims.sha,
      sourceRepositoryRef: 'refs/heads/main',
      sourceRepositoryIdentifier: '1',
      sourceRepositoryOwnerUri: 'https://github.com/o',
      sourceRepositoryOwnerIdentifier: '2',
      buildConfigUri: 'https://github.com/o/r/.github/workflows/release.yml@refs/heads/main',
      buildConfigDigest: claims.workflow_sha,
      buildTrigger: 'push',
      runInvocationUri: 'https://github.com/o/r/actions/runs/3/attempts/4',
      sourceRepositoryVisibilityAtSigning: 'public',
      tokenSubject: claims.sub,
    });
  });

  test('a user name becomes an otherName', async () => {
    const body = v2Body(signerKey, 'ada', token({ iss: 'https://users.example', sub: 'ada', email: undefined }));
    const [leaf] = (await certificatesOf(await authority().post('/api/v2/signingCert', body))) as [Certificate];
    expect(subjectAlternativeNames(leaf)).toEqual([{ kind: 'otherName', value: 'ada!example' }]);
    expect(new X509Certificate(leaf.der).subjectAltName).toContain('othername');
  });
});

describe('POST /api/v1/signingCert', () => {
  const v1Body = () => ({
    publicKey: {
      content: serializeBase64(serializeUtf8(serializePublicKeyPem(signerKey.publicKey))),
      algorithm: 'ecdsa',
    },
    signedEmailAddress: serializeBase64(sign(signerKey, serializeUtf8(CLAIMS.email))),
    certificateSigningRequest: null,
  });
  test('answers 201 with a PEM chain', async () => {
    const response = await authority().post('/api/v1/signingCert', v1Body(), { authorization: `Bearer ${token()}` });
    expect(response.status).toBe(201);
    expect(response.headers.get('content-type')).toBe('application/pem-certificate-chain');
    const [leaf, intermediate] = parseCertificatesPem(await response.text());
    verifyChain(leaf as Certificate, [intermediate as Certificate], [root], NOW, 'codeSigning');
  });
  test('takes the key in DER', async () => {
    const publicKey = { content: serializeBase64(signerKey.publicKey.spki) };
    const response = await authority().post(
      '/api/v1/signingCert',
      { ...v1Body(), publicKey },
      { authorization: `bearer ${token()}` },
    );
    expect(response.status).toBe(201);
  });
  test('refuses a token of the body, which this version does not have', async () => {
    const response = await authority().post('/api/v1/signingCert', {
      ...v1Body(),
      credentials: { oidcIdentityToken: token() },
    });
    expect(response.status).toBe(400);
  });
});

describe('what the CA tells of itself', () => {
  test('trust bundle', async () => {
    const body = (await (await authority().call('/api/v2/trustBundle')).json()) as {
      chains: { certificates: string[] }[];
    };
    expect(body.chains).toHaveLength(1);
    expect(body.chains[0]?.certificates.flatMap(parseCertificatesPem).map(({ der }) => der)).toEqual(
      chain.map(({ der }) => der),
    );
  });
  test('configuration', async () => {
    expect(await (await authority().call('/api/v2/configuration')).json()).toEqual({
      issuers: [
        {
          issuerUrl: ISSUER_URL,
          audience: 'sigstore',
          challengeClaim: 'email',
          spiffeTrustDomain: '',
          issuerType: 'email',
          subjectDomain: '',
          skipEmailVerification: false,
        },
        {
          issuerUrl: CI_URL,
          audience: 'sigstore',
          challengeClaim: 'sub',
          spiffeTrustDomain: '',
          issuerType: 'github-workflow',
          subjectDomain: '',
          skipEmailVerification: false,
        },
        {
          issuerUrl: 'https://users.example',
          audience: 'sigstore',
          challengeClaim: 'sub',
          spiffeTrustDomain: '',
          issuerType: 'username',
          subjectDomain: 'example',
          skipEmailVerification: false,
        },
      ],
    });
  });
  test('root certificates of version 1', async () => {
    const response = await authority().call('/api/v1/rootCert');
    expect(parseCertificatesPem(await response.text())).toHaveLength(2);
  });
  test('paths of others are left alone', () => {
    const { ca } = authority();
    for (const path of ['/api/v1/log', '/api/v2/log/entries', '/api/v2/signingCert/', '/__proto__'])
      expect(ca.handle(new Request(BASE + path), new URL(BASE + path), PEER)).toBeUndefined();
  });
  test('a method that a path does not have is 405', async () => {
    expect((await authority().call('/api/v2/signingCert')).status).toBe(405);
    expect((await authority().post('/api/v2/trustBundle', {})).status).toBe(405);
  });
});

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
