import type { Bundle, TransparencyLogEntry } from '../bundle/bundle.ts';
import { serializeBase64 } from '../bytes/bytes.ts';
import { keyFingerprint } from '../crypto/public-key.ts';
import { VerificationError, type VerificationErrorCode } from '../errors.ts';
import type { Http } from '../http/client.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import type { Artifact } from '../verify/artifact.ts';
import { namedIdentities } from '../verify/identity.ts';
import type { Policy } from '../verify/signer.ts';
import { type VerifiedBundle, verifyBundle } from '../verify/verify.ts';
import type { SigningServices } from './services.ts';
import type { Credential } from './signer.ts';
import type { Submission } from './submission.ts';

/** The parts as a bundle v0.3 (sigstore_bundle.proto): the leaf certificate alone, or the hint of the key. */
export function assembleBundle(
  content: Submission['content'],
  { key, certificate }: Credential,
  timestamps: Uint8Array[],
  tlogEntries: TransparencyLogEntry[],
): Bundle {
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    version: '0.3',
    material:
      certificate === undefined
        ? { kind: 'publicKey', hint: serializeBase64(keyFingerprint(key.publicKey)) }
        : { kind: 'certificates', certificates: [certificate.der] },
    tlogEntries,
    timestamps,
    content:
      content.kind === 'dsse'
        ? content
        : {
            kind: 'message',
            digest: { hash: content.hash, digest: content.digest },
            signature: content.signature,
          },
  };
}

/**
 * What a verifier would refuse is not handed out: the new bundle is verified as any other, with log and timestamp required
 * where the signing config names them, and with the identity that the certificate was issued for.
 */
export function verifyOwnBundle(
  bundle: Bundle,
  artifact: Artifact,
  credential: Credential,
  context: { readonly http: Http; readonly services: SigningServices; readonly trustedRoot: TrustedRoot },
): VerifiedBundle {
  const { http, services, trustedRoot } = context;
  try {
    return verifyBundle(bundle, {
      trustedRoot,
      policy: ownPolicy(credential),
      artifact,
      now: http.clock(),
      // Each one that is there is verified; what counts here is that a kept key, of which nothing is required, has them too.
      thresholds: {
        logs: Math.min(1, services.logs.length),
        timestampAuthorities: Math.min(1, services.timestampAuthorities.length),
      },
    });
  } catch (cause) {
    if (!(cause instanceof VerificationError)) throw cause;
    throw new VerificationError(
      cause.code as VerificationErrorCode,
      cause.step,
      `the signature was made but does not verify, so no bundle is written: ${cause.message}`,
      {
        cause,
        hint:
          cause.code === 'LOG_UNKNOWN'
            ? 'the log may have a new key: hallmark trust update'
            : 'do signing config and trusted root belong to the same instance? hallmark trust show',
        ...(cause.evidence !== undefined && { evidence: cause.evidence }),
      },
    );
  }
}

function ownPolicy({ key, certificate }: Credential): Policy {
  if (certificate === undefined) return { key: key.publicKey };
  return { identities: namedIdentities(certificate) };
}
