import type { Bundle, TransparencyLogEntry } from '../core/bundle/bundle.ts';
import { parseEntryBody, serializeHashedRekordV001, serializeHashedRekordV002 } from '../core/bundle/entry.ts';
import { equal, serializeUtf8 } from '../core/bytes/bytes.ts';
import { verifySignerInfo } from '../core/cms/verify.ts';
import { keyDetailsFor } from '../core/crypto/algorithms.ts';
import { digest, sha256 } from '../core/crypto/hash.ts';
import { defaultHash } from '../core/crypto/public-key.ts';
import { VerificationError, withEvidence } from '../core/errors.ts';
import { verifyTimestamp } from '../core/timestamp/verify.ts';
import type { TrustedRoot } from '../core/trust/trusted-root.ts';
import { verifyCertificate } from '../core/verify/certificate.ts';
import { type Identity, namedIdentities } from '../core/verify/identity.ts';
import type { VerifiedLogEntry } from '../core/verify/log-entry.ts';
import { requiredThresholds } from '../core/verify/thresholds.ts';
import type { VerifiedTime } from '../core/verify/times.ts';
import { verifyBundle } from '../core/verify/verify.ts';
import { type Certificate, serializeCertificatePem } from '../core/x509/certificate.ts';
import type { FulcioClaims } from '../core/x509/fulcio.ts';
import { OID } from '../core/x509/oids.ts';
import type { EmbeddedEntry } from './log-entry.ts';
import { loggedObjectIds } from './object-id.ts';
import { type CmsSignature, timestampResponseOf } from './signature.ts';

export interface GitVerifyOptions {
  /** The trusted root for a certificate and its log entries. */
  readonly trustedRootFor: (bundle: Bundle) => TrustedRoot;
  readonly now: Date;
  /** What a look-up found, unverified, of a signature without an embedded entry. */
  readonly found?: TransparencyLogEntry | undefined;
}

declare const verified: unique symbol;

/** A signature of which everything was verified but whether its signer may sign; only `verifyGitSignature` makes one. */
export interface VerifiedGitSignature extends Identity {
  readonly [verified]: true;
  readonly certificate: Certificate;
  readonly claims: FulcioClaims;
  readonly times: readonly VerifiedTime[];
  readonly logEntries: readonly VerifiedLogEntry[];
}

/**
 * Verifies a signature over the payload that git cut, offline: digest and signature, the certificate's chain and SCT, the log
 * entry (in the signature, or found), and that it was signed while the certificate was valid. Errors: VerificationError, of
 * step 'signature' if digest or signature is wrong; LOG_ENTRY_MISSING of what is right otherwise; InputError.
 */
export function verifyGitSignature(
  payload: Uint8Array,
  armor: Uint8Array,
  signature: CmsSignature,
  options: GitVerifyOptions,
): VerifiedGitSignature {
  const { certificate } = signature;

  // 1. The signature is over these bytes (RFC 5652 §5.4), by the key of the certificate that came along.
  verifySignerInfo(signature.signer, OID.data, payload, certificate);

  // 2. What of the rest has to be true, in the form that everything else is verified in.
  const { bundle, artifact } = bundleOf(payload, armor, signature, options.found);
  const trustedRoot = options.trustedRootFor(bundle);
  requireKnownIssuers(signature, trustedRoot);
  if (bundle.tlogEntries.length === 0) return notLogged(signature, trustedRoot);

  // 3. Times, chain, SCT, log entry: core's own steps. Who may sign is asked later; here it is whom the certificate names.
  const result = verifyBundle(bundle, {
    trustedRoot,
    policy: { identities: namedIdentities(certificate) },
    artifact: { digests: { [artifact.hash]: artifact.digest } },
    now: options.now,
  });
  if (result.signer.kind !== 'certificate') throw new Error('internal: a git signature without a certificate');
  const { issuer, subjectAlternativeName, claims } = result.signer;

  // 4. A timestamp beside an entry that was found is over the signature, not over what the entry is about.
  const stamped = bundle.timestamps.length > 0 ? [] : verifyToken(signature, trustedRoot);
  return {
    issuer,
    subjectAlternativeName,
    claims,
    certificate,
    times: [...result.times, ...stamped],
    logEntries: result.logEntries,
  } as unknown as VerifiedGitSignature;
}

/**
 * The signature as a bundle, to be verified as any other: either its signed attributes are the artifact, and the entry is the
 * embedded one; or the object's ID is, with the signature that only the log has (gitsign's online mode).
 */
function bundleOf(
  payload: Uint8Array,
  armor: Uint8Array,
  signature: CmsSignature,
  found: TransparencyLogEntry | undefined,
): { bundle: Bundle; artifact: { hash: 'sha256' | 'sha384' | 'sha512'; digest: Uint8Array } } {
  const { certificate, entry, timestampToken, signedAttributes } = signature;
  if (entry === undefined && found !== undefined) {
    const { signature: logged, digest: id } = loggedId(found, payload, armor);
    return { bundle: bundleWith(certificate, logged, [found], []), artifact: { hash: 'sha256', digest: id } };
  }
  const hash = defaultHash(certificate.publicKey);
  const signed = digest(hash, signedAttributes);
  const entries = entry === undefined ? [] : [completeEntry(entry, signature, signed)];
  const timestamps = timestampToken === undefined ? [] : [timestampResponseOf(timestampToken)];
  return {
    bundle: bundleWith(certificate, signature.signature, entries, timestamps),
    artifact: { hash, digest: signed },
  };
}

const bundleWith = (
  certificate: Certificate,
  signature: Uint8Array,
  tlogEntries: TransparencyLogEntry[],
  timestamps: Uint8Array[],
): Bundle => ({
  mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
  version: '0.3',
  material: { kind: 'certificates', certificates: [certificate.der] },
  tlogEntries,
  timestamps,
  content: { kind: 'message', signature },
});

// The body is not sent along, but made of what it has to say: an entry about anything else is not in the log under this body.
function completeEntry(entry: EmbeddedEntry, signature: CmsSignature, signed: Uint8Array): TransparencyLogEntry {
  const { certificate } = signature;
  const about = { hash: defaultHash(certificate.publicKey), digest: signed, signature: signature.signature };
  const canonicalizedBody =
    entry.kindVersion.version === '0.0.1'
      ? serializeHashedRekordV001({ ...about, publicKeyPem: serializeCertificatePem(certificate) })
      : serializeHashedRekordV002({
          ...about,
          verifier: { x509Certificate: certificate.der },
          keyDetails: keyDetailsFor(certificate.publicKey, 'digest'),
        });
  return { ...entry, canonicalizedBody };
}

// An entry that was found is about one of the IDs that gitsign has given the object; whose it is, verification tells.
function loggedId(
  found: TransparencyLogEntry,
  payload: Uint8Array,
  armor: Uint8Array,
): { signature: Uint8Array; digest: Uint8Array } {
  const body = parseEntryBody(found.canonicalizedBody);
  const id =
    body.kind === 'hashedrekord'
      ? loggedObjectIds(payload, armor).find((each) => equal(sha256(serializeUtf8(each)), body.digest))
      : undefined;
  if (body.kind === 'hashedrekord' && id !== undefined) return { signature: body.signature, digest: body.digest };
  throw new VerificationError('LOG_ENTRY_MISMATCH', 'log', 'the entry that was found is about another object');
}

// The trusted root has the issuers; another one that is sent along would be bytes that nothing vouches for.
function requireKnownIssuers({ otherCertificates }: CmsSignature, { certificateAuthorities }: TrustedRoot): void {
  const known = certificateAuthorities.flatMap(({ chain }) => chain);
  if (otherCertificates.every((der) => known.some((certificate) => equal(certificate.der, der)))) return;
  throw new VerificationError(
    'CERTIFICATE_UNTRUSTED',
    'certificate',
    'the signature brings along the certificate of an authority that is not trusted',
  );
}

function verifyToken({ timestampToken, signature, certificate }: CmsSignature, root: TrustedRoot): VerifiedTime[] {
  if (timestampToken === undefined) return [];
  const timestamp = verifyTimestamp(timestampResponseOf(timestampToken), signature, root.timestampAuthorities);
  verifyCertificate(certificate, [timestamp.time], root, requiredThresholds(root, 'certificate'));
  return [{ source: 'timestamp authority', ...timestamp }];
}

// What can be told without the log is told first: the remedy below helps only where all of that is right.
function notLogged(signature: CmsSignature, root: TrustedRoot): never {
  const { certificate } = signature;
  const required = requiredThresholds(root, 'certificate');
  const times = verifyToken(signature, root).map(({ time }) => time);
  withEvidence('certificate', 'certificate', () =>
    verifyCertificate(certificate, times.length > 0 ? times : [certificate.notBefore], root, required),
  );
  throw new VerificationError(
    'LOG_ENTRY_MISSING',
    'log',
    'not proven: the signature holds no log entry, so nothing here tells when it was made',
    { hint: 'look the entry up: hallmark git verify --online REV, or git config --global hallmark.lookup true' },
  );
}
