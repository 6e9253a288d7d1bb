import { equal, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { type PrivateKey, sign } from '../crypto/private-key.ts';
import { type PublicKey, serializePublicKeyPem } from '../crypto/public-key.ts';
import { IdentityError, ServiceError } from '../errors.ts';
import { type Http, type HttpRequest, joinUrl, parseJsonAnswer, readAnswer, request } from '../http/client.ts';
import { MAX_CHAIN_CERTIFICATES } from '../limits.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import { verifyCertificate } from '../verify/certificate.ts';
import { type Certificate, parseCertificatesPem } from '../x509/certificate.ts';
import { oidcIssuer } from '../x509/fulcio.ts';
import { subjectAlternativeNames } from '../x509/names.ts';
import { type IdentityToken, possessionText, requireFreshToken } from './identity-token.ts';

const SERVICE = 'the certificate authority';
const TIMEOUT_MS = 30_000;

/**
 * Has the certificate authority certify `key` for the identity of `token` (Fulcio API v2). The certificate that comes back
 * is held to what was asked for and to the trusted root before anything is signed: IDENTITY_TOKEN_*, SERVICE_*,
 * CERTIFICATE_*, SCT_*.
 */
export async function fetchSigningCertificate(
  http: Http,
  url: string,
  token: IdentityToken,
  key: PrivateKey,
  trustedRoot: TrustedRoot,
): Promise<Certificate> {
  requireFreshToken(token, http.clock());
  const call: HttpRequest = {
    service: SERVICE,
    method: 'POST',
    url: joinUrl(url, '/api/v2/signingCert'),
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({
      credentials: { oidcIdentityToken: token.jwt },
      publicKeyRequest: {
        publicKey: { algorithm: algorithmName(key.publicKey), content: serializePublicKeyPem(key.publicKey) },
        // fulcio.proto, PublicKeyRequest: a signature over the principal's name shows that the key is ours.
        proofOfPossession: serializeBase64(sign(key, serializeUtf8(possessionText(token)))),
      },
    }),
    timeoutMs: TIMEOUT_MS,
    accept: [200, 201],
  };
  const answer = await request(http, call).catch((error: unknown) => {
    throw asTokenProblem(error, token);
  });
  const json = parseJsonAnswer(call, answer);
  const leaf = readAnswer(call, () => parseAnswer(new Fields(json, '', 'CERTIFICATE_INVALID')));
  requireAsked(leaf, key.publicKey, token, url);
  // At its first instant, not by this computer's clock, which may be wrong: the times that count come from the services.
  verifyCertificate(leaf, [leaf.notBefore], trustedRoot, { ctLogs: trustedRoot.ctlogs.length > 0 ? 1 : 0 });
  return leaf;
}

// Only the leaf is taken: verifiers use the trusted root's own intermediates, and bundles carry none.
function parseAnswer(fields: Fields): Certificate {
  if (fields.has('signedCertificateDetachedSct'))
    throw fields.fail('signedCertificateDetachedSct', 'a detached SCT cannot be put into a bundle');
  const pems = fields
    .object('signedCertificateEmbeddedSct')
    .object('chain')
    .array('certificates', MAX_CHAIN_CERTIFICATES);
  const [pem] = pems;
  if (typeof pem !== 'string') throw fields.fail('signedCertificateEmbeddedSct', 'no certificate');
  const [leaf, ...more] = parseCertificatesPem(pem);
  if (leaf === undefined || more.length > 0) throw fields.fail('signedCertificateEmbeddedSct', 'not one certificate');
  return leaf;
}

// The certificate has to be about our key and our identity; the rest of its identity is the CA's to say.
function requireAsked(leaf: Certificate, key: PublicKey, token: IdentityToken, url: string): void {
  const refuse = (problem: string): ServiceError =>
    new ServiceError('SERVICE_ANSWER_INVALID', `${SERVICE} at ${url} issued a certificate ${problem}`, {
      hint: 'do not use this certificate authority until its operator has explained it',
    });
  if (!equal(leaf.publicKey.spki, key.spki)) throw refuse('for another key');
  const names = subjectAlternativeNames(leaf);
  const [name] = names;
  if (name === undefined || names.length > 1) throw refuse(`that names ${names.length} identities, not one`);
  if (name.kind === 'email' && name.value !== token.email) throw refuse(`for another identity, ${name.value}`);
  const issuer = oidcIssuer(leaf);
  if (issuer === undefined || !token.issuers.includes(issuer))
    throw refuse(`that names the OIDC issuer ${issuer ?? '(none)'}, but the token comes from ${token.issuer}`);
}

const algorithmName = (key: PublicKey): string =>
  key.kind === 'rsa' ? 'RSA_PSS' : key.kind === 'ed25519' ? 'ED25519' : 'ECDSA';

// Fulcio answers 400 to a token that it does not accept; the remedy is another token, not another attempt.
function asTokenProblem(error: unknown, token: IdentityToken): unknown {
  const refused = error instanceof ServiceError && (error.status === 400 || error.status === 401);
  if (!refused || !/token|credential|issuer/i.test(error.message)) return error;
  return new IdentityError('IDENTITY_TOKEN_INVALID', error.message, {
    cause: error,
    hint: `get a new identity token from ${token.issuer}; does the certificate authority accept that issuer?`,
  });
}
