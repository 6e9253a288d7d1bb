import { describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { serializeBase64, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import type { KeyKind } from '../core/crypto/algorithms.ts';
import { generateKey, sign } from '../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { type Certificate, parseCertificatesPem } from '../core/x509/certificate.ts';
import { verifyChain } from '../core/x509/chain.ts';
import { fulcioClaims } from '../core/x509/fulcio.ts';
import { subjectAlternativeNames } from '../core/x509/names.ts';
import { OID } from '../core/x509/oids.ts';
import { parseSctList, verifyEmbeddedScts } from '../core/x509/sct.ts';
import { loadPeculiarX509 } from '../core/x509/testing.ts';

import {
  authority,
  BASE,
  CI_URL,
  CLAIMS,
  certificatesOf,
  chain,
  ISSUER_URL,
  NOW,
  PEER,
  root,
  signerKey,
  token,
  v2Body,
} from './testing-authority.ts';

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
