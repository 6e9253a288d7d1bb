import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import type { PrivateKey } from '../core/crypto/private-key.ts';
import { HallmarkError, ServiceError, StorageError } from '../core/errors.ts';
import type { RateLimiter } from '../core/http/rate-limit.ts';
import { serializeTbsCertificate, signCertificate } from '../core/x509/build.ts';
import type { Certificate } from '../core/x509/certificate.ts';
import { precertificatePoisonExtension, sctListExtension } from '../core/x509/extensions.ts';
import type { CtLog } from '../core/x509/sct.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import type { IssuerTable } from './issuers.ts';
import { requirePossession } from './possession.ts';
import { type Principal, requirePrincipal } from './principal.ts';
import { signingCertificate } from './profile.ts';
import { orRefuse, Refusal } from './refusal.ts';
import type { CertificateRequest } from './request.ts';
import { verifyIdentityToken } from './token.ts';

/** What issuing takes. `issuing` is the certificate of `key`. */
export interface Issuance {
  readonly key: PrivateKey;
  readonly issuing: Certificate;
  readonly issuers: IssuerTable;
  readonly issuerKeys: IssuerKeys;
  readonly ctLog: CtLog;
  readonly clock: () => Date;
  readonly random: (bytes: number) => Uint8Array;
  /** Certificates of one identity. */
  readonly limit: RateLimiter;
}

/**
 * Issues a signing certificate, in DER, with its SCT embedded. Whatever is wrong with the request is a Refusal. The rate of
 * one identity is limited unless `limited` is false, as it is for this machine itself.
 */
export async function issueCertificate(
  request: CertificateRequest,
  ca: Issuance,
  limited: boolean,
): Promise<Uint8Array> {
  const now = ca.clock();

  // Who asks: OpenID Connect Core §3.1.3.7, then the rules of the issuer's type.
  const token = await verifyIdentityToken(request.identityToken, ca.issuers, ca.issuerKeys, now).catch(refuseToken);
  const principal = orRefuse('identityToken', () => requirePrincipal(token));

  // With which key: fulcio.proto, proof of possession.
  const publicKey = requirePossession(request.proof, principal.possessionMessages);

  const wait = limited ? ca.limit(identityKey(principal)) : 0;
  if (wait > 0) throw new Refusal('rate', undefined, wait);

  // What the certificate will say: Fulcio's certificate specification.
  const template = orRefuse('internal', () => signingCertificate(principal, publicKey, ca.issuing, now, ca.random));

  // RFC 6962 §3.1: the precertificate differs from the certificate in its last extension only.
  const precertificate = signCertificate(
    serializeTbsCertificate({ ...template, extensions: [...template.extensions, precertificatePoisonExtension()] }),
    ca.key,
  );

  // RFC 6962 §3.2: logged before it is issued; without a promise of the log there is no certificate.
  const sct = await ca.ctLog(precertificate, ca.issuing).catch((cause: unknown) => {
    const overloaded = cause instanceof StorageError && cause.code === 'OVERLOADED';
    throw overloaded ? new Refusal('overloaded', cause, OVERLOADED_MS) : new Refusal('ctLog', cause);
  });

  // RFC 6962 §3.3.
  return signCertificate(
    serializeTbsCertificate({ ...template, extensions: [...template.extensions, sctListExtension([sct])] }),
    ca.key,
  );
}

/** How long to wait for a CT log that has more to do than it can. */
const OVERLOADED_MS = 1000;

/** Who a certificate is for, in bounded size. */
const identityKey = ({ issuer, subjectAlternativeName: { kind, value } }: Principal): string =>
  serializeHex(sha256(serializeUtf8(`${issuer}\n${kind}\n${value}`)));

/** A token that is bad is the client's fault; keys that cannot be had are not. */
function refuseToken(cause: unknown): never {
  if (cause instanceof ServiceError) throw new Refusal('issuerUnreachable', cause);
  throw new Refusal(cause instanceof HallmarkError ? 'identityToken' : 'internal', cause);
}
