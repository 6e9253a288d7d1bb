import { equal } from '../bytes/bytes.ts';
import { digest, type HashName } from '../crypto/hash.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import { isValidSignature } from '../crypto/verify.ts';
import { VerificationError } from '../errors.ts';
import { hashForSignature, hashWithOid } from '../x509/algorithms.ts';
import type { Certificate } from '../x509/certificate.ts';
import { OID } from '../x509/oids.ts';
import type { SignerInfo } from './signed-data.ts';

/** True if the signer points to this certificate (RFC 5652 §5.3). It says nothing about who signed. */
export function isSigner(signer: SignerInfo, certificate: Certificate): boolean {
  const id = signer.signerId;
  if (id.kind === 'issuerAndSerialNumber')
    return equal(id.issuerName, certificate.issuerName) && equal(id.serialNumber, certificate.serialNumber);
  return certificate.subjectKeyId !== undefined && equal(id.subjectKeyId, certificate.subjectKeyId);
}

/**
 * Verifies that the key of `certificate` signed `content` as being of `contentType` (RFC 5652 §5.4, §5.6). Signed attributes are
 * required. Errors: VerificationError SIGNATURE_INVALID (step 'signature'); KEY_INVALID, KEY_UNSUPPORTED of the key.
 */
export function verifySignerInfo(
  signer: SignerInfo,
  contentType: string,
  content: Uint8Array,
  certificate: Certificate,
): void {
  const { key, hash, message, signature } = requireSignedContent(signer, contentType, content, certificate);
  if (!isValidSignature(key, hash, message, signature))
    throw invalid('CMS signature is not by the key of its certificate');
}

/** A signature that is left to verify. */
interface SignedMessage {
  readonly key: PublicKey;
  readonly hash: HashName;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** All of `verifySignerInfo` but the signature itself, which it returns. */
export function requireSignedContent(
  signer: SignerInfo,
  contentType: string,
  content: Uint8Array,
  certificate: Certificate,
): SignedMessage {
  // Where both forms are accepted, the signed attributes of one message pass for the content of another (RFC 8933 §1).
  const signed = signer.signedAttributes;
  if (signed === undefined) throw invalid('CMS signature has no signed attributes');

  // §5.6, §11.1: type and digest of the content are the signed ones.
  const hash = requireHash(signer.digestAlgorithm);
  if (signed.contentType !== contentType) throw invalid('CMS signature is over content of another type');
  if (!equal(signed.messageDigest, digest(hash, content))) throw invalid('CMS signature is over other content');

  // §5.4: the signature is over the attributes.
  const key = certificate.publicKey;
  const signatureHash = requireSignatureHash(signer, key, hash);
  return { key, hash: signatureHash, message: signed.signedBytes, signature: signer.signature };
}

function requireHash(oid: string): HashName {
  const hash = hashWithOid(oid);
  if (hash === undefined)
    throw invalid(
      oid === OID.sha1 ? 'CMS signature uses SHA-1' : `CMS signature uses the digest ${oid}, not supported`,
    );
  return hash;
}

/** The hash of the signature algorithm; rsaEncryption has none of its own and takes that of the content (RFC 3370 §3.2). */
function requireSignatureHash(signer: SignerInfo, key: PublicKey, contentHash: HashName): HashName {
  if (signer.signatureAlgorithm === OID.rsaEncryption && key.kind === 'rsa') return contentHash;
  const hash = hashForSignature(key, signer.signatureAlgorithm);
  if (hash === undefined)
    throw invalid(
      `CMS signature algorithm ${signer.signatureAlgorithm} is not supported for a key of kind ${key.kind}`,
    );
  return hash;
}

const invalid = (problem: string): VerificationError =>
  new VerificationError('SIGNATURE_INVALID', 'signature', problem);
