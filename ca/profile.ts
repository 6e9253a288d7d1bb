import type { PublicKey } from '../core/crypto/public-key.ts';
import { type CertificateTemplate, distinguishedName } from '../core/x509/build.ts';
import type { Certificate } from '../core/x509/certificate.ts';
import {
  alternativeNamesExtension,
  authorityKeyIdExtension,
  extendedKeyUsageExtension,
  keyUsageExtension,
} from '../core/x509/extensions.ts';
import { serializeFulcioClaims } from '../core/x509/fulcio.ts';
import type { Principal } from './principal.ts';

/** How long a signing certificate is valid, ms: Fulcio's ten minutes. */
const LIFETIME_MS = 10 * 60_000;
/** How far its start lies back, ms: a timestamp cut to the second must not come before it. */
const BACKDATE_MS = 5_000;

/**
 * The certificate that says that `publicKey` is the principal's (Fulcio's certificate specification): empty subject, one
 * critical alternative name, code signing only, no basic constraints, and the issuer's claims. The SCTs are still missing.
 */
export function signingCertificate(
  principal: Principal,
  publicKey: PublicKey,
  issuing: Certificate,
  now: Date,
  random: (bytes: number) => Uint8Array,
): CertificateTemplate {
  if (now < issuing.notBefore || now >= issuing.notAfter)
    throw new Error(
      `issuing certificate is valid from ${issuing.notBefore.toISOString()} to ${issuing.notAfter.toISOString()}`,
    );
  if (!issuing.subjectKeyId) throw new Error('internal: issuing certificate without subject key identifier');
  return {
    serialNumber: randomSerialNumber(random),
    issuerKey: issuing.publicKey,
    issuerName: issuing.subjectName,
    subjectName: distinguishedName({}),
    notBefore: later(new Date(now.getTime() - BACKDATE_MS), issuing.notBefore),
    notAfter: earlier(new Date(now.getTime() + LIFETIME_MS), issuing.notAfter),
    spki: publicKey.spki,
    extensions: [
      keyUsageExtension('digitalSignature'),
      extendedKeyUsageExtension('codeSigning'),
      authorityKeyIdExtension(issuing.subjectKeyId),
      alternativeNamesExtension(principal.subjectAlternativeName),
      ...serializeFulcioClaims({
        ...principal.claims,
        issuer: principal.issuer,
        issuerV2: principal.issuer,
        tokenSubject: principal.tokenSubject,
      }),
    ],
  };
}

/** 159 random bits: with the sign bit, the 20 bytes that RFC 5280 §4.1.2.2 allows. */
export function randomSerialNumber(random: (bytes: number) => Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(random(20));
  bytes[0] = (bytes[0] as number) & 0x7f;
  return bytes;
}

const later = (a: Date, b: Date): Date => (a > b ? a : b);
const earlier = (a: Date, b: Date): Date => (a < b ? a : b);
