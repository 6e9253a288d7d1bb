import { equal } from '../bytes/bytes.ts';
import { VerificationError, withEvidence } from '../errors.ts';
import type { CertificateAuthority, TrustedRoot } from '../trust/trusted-root.ts';
import type { Certificate } from '../x509/certificate.ts';
import { verifyChain } from '../x509/chain.ts';
import { verifyEmbeddedScts } from '../x509/sct.ts';
import { isValidAt } from '../x509/validity.ts';

const EVIDENCE = 'verificationMaterial.certificate';

/**
 * Step 2, client specification §4.3 and §4.4: at every verified time the certificate and its chain were valid and lead to a
 * certificate authority in use then; and CT logs vouch for it. CERTIFICATE_*, SCT_*, TIMESTAMP_OUTSIDE_VALIDITY.
 */
export function verifyCertificate(
  leaf: Certificate,
  times: readonly Date[],
  root: TrustedRoot,
  required: { readonly ctLogs: number },
): void {
  let issuer: Certificate | undefined;
  for (const time of times) {
    if (time < leaf.notBefore || leaf.notAfter < time) {
      throw new VerificationError(
        'TIMESTAMP_OUTSIDE_VALIDITY',
        'certificate',
        `signed at ${time.toISOString()}, outside the certificate's validity, ${leaf.notBefore.toISOString()} to ${leaf.notAfter.toISOString()}`,
        { evidence: EVIDENCE },
      );
    }
    issuer = verifyChainToAnyAuthority(leaf, time, root.certificateAuthorities);
  }
  if (issuer === undefined) throw new Error('internal: a certificate without a verified time');
  if (required.ctLogs === 0) return;
  const issuedBy = issuer;
  withEvidence(EVIDENCE, 'certificate', () => verifyEmbeddedScts(leaf, issuedBy, root.ctlogs, required.ctLogs));
}

/** The certificate that issued `leaf`, under the first authority that a chain leads to at this time. */
function verifyChainToAnyAuthority(
  leaf: Certificate,
  at: Date,
  authorities: readonly CertificateAuthority[],
): Certificate {
  let reason: unknown;
  for (const authority of authorities) {
    if (!isValidAt(authority.validFor, at)) continue;
    const { chain } = authority;
    const anchor = chain.at(-1);
    if (anchor === undefined) continue;
    try {
      // Only the trusted root's own intermediates: one that was withdrawn from it must not come back inside a bundle.
      const [, issuer] = withEvidence(EVIDENCE, 'certificate', () =>
        verifyChain(leaf, chain.slice(0, -1), [anchor], at, 'codeSigning'),
      );
      if (issuer !== undefined) return issuer;
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      // The authority that issued it says best what is wrong.
      if (reason === undefined || chain.some((certificate) => equal(certificate.subjectName, leaf.issuerName)))
        reason = error;
    }
  }
  throw (
    reason ??
    new VerificationError(
      'CERTIFICATE_UNTRUSTED',
      'certificate',
      `no certificate authority of the trusted root was in use at ${at.toISOString()}`,
      { evidence: EVIDENCE },
    )
  );
}
