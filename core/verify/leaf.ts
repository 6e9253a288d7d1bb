import type { Bundle } from '../bundle/bundle.ts';
import { withEvidence } from '../errors.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';

// Asked for by who chooses the trusted root, by who reads the artifact, and by the verifier.
const parsed = new WeakMap<Bundle, Certificate>();

/** The signer's certificate, verified in no way; undefined if the bundle is signed with a key. CERTIFICATE_INVALID. */
export function leafCertificate(bundle: Bundle): Certificate | undefined {
  const [der] = bundle.material.kind === 'certificates' ? bundle.material.certificates : [];
  if (der === undefined) return undefined;
  const known = parsed.get(bundle);
  if (known !== undefined) return known;
  const certificate = withEvidence('verificationMaterial.certificate', 'certificate', () => parseCertificate(der));
  parsed.set(bundle, certificate);
  return certificate;
}
