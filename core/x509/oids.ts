import { oid } from '../asn1/der.ts';

/** The object identifiers of X.509, CMS, RFC 3161 and Fulcio that the code names. */
export const OID = {
  // Attributes of names (RFC 5280 appendix A.1).
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  // Certificate extensions (RFC 5280 §4.2).
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAlternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  // Extended key usages (RFC 5280 §4.2.1.12).
  anyExtendedKeyUsage: '2.5.29.37.0',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  // Certificate transparency (RFC 6962 §3.1, §3.3).
  sctList: '1.3.6.1.4.1.11129.2.4.2',
  precertificatePoison: '1.3.6.1.4.1.11129.2.4.3',
  // The arc of Fulcio's extensions, and the kind of otherName that holds its usernames.
  fulcio: '1.3.6.1.4.1.57264.1',
  fulcioUsername: '1.3.6.1.4.1.57264.1.7',
  // Log entries in git signatures: gitsign's for Rekor v1; for Rekor v2 one made of a UUID (X.667), see docs/git.md.
  rekorEntry: '1.3.6.1.4.1.57264.3.1',
  rekorV2Entry: '2.25.331327968232820201344764324328742199994',
  // Hashes (RFC 5754 §2); SHA-1 only to say that it is refused, and for the binding of RFC 2634.
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
  sha384: '2.16.840.1.101.3.4.2.2',
  sha512: '2.16.840.1.101.3.4.2.3',
  // Signatures (RFC 5758 §3.2, RFC 4055 §5, RFC 8410 §3).
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  ecdsaWithSha512: '1.2.840.10045.4.3.4',
  rsaEncryption: '1.2.840.113549.1.1.1',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  sha384WithRsa: '1.2.840.113549.1.1.12',
  sha512WithRsa: '1.2.840.113549.1.1.13',
  ed25519: '1.3.101.112',
  // CMS (RFC 5652 §4, §5.1, §11) and its attributes (RFC 2634 §5.4, RFC 5035 §3, RFC 3161 appendix A).
  data: '1.2.840.113549.1.7.1',
  signedData: '1.2.840.113549.1.7.2',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingTime: '1.2.840.113549.1.9.5',
  signingCertificate: '1.2.840.113549.1.9.16.2.12',
  signingCertificateV2: '1.2.840.113549.1.9.16.2.47',
  timestampToken: '1.2.840.113549.1.9.16.2.14',
  // RFC 3161 §2.4.2.
  timestampInfo: '1.2.840.113549.1.9.16.1.4',
} as const;

// To encode an identifier costs microseconds, to find it here a tenth of that. Filled by use, so that a start pays for what it
// meets.
const MAX_REMEMBERED = 256;
const encoded = new Map<string, Uint8Array>();

/** OBJECT IDENTIFIER in DER, of the dotted form. */
export function serializeOid(dotted: string): Uint8Array {
  const known = encoded.get(dotted);
  if (known !== undefined) return known;
  const encoding = oid(dotted);
  if (encoded.size < MAX_REMEMBERED) encoded.set(dotted, encoding);
  return encoding;
}
