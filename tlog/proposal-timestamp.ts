import { serializeEntryBody } from '../core/bundle/entry.ts';
import type { Fields } from '../core/bytes/fields.ts';
import { isSigner, requireSignedContent } from '../core/cms/verify.ts';
import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { VerificationError } from '../core/errors.ts';
import { MAX_LOGGED_TIMESTAMP_BYTES } from '../core/limits.ts';
import { parseTimestampResponse } from '../core/timestamp/response.ts';
import { parseCertificate } from '../core/x509/certificate.ts';
import { OID } from '../core/x509/oids.ts';
import type { Proposal } from './proposal-v1.ts';

/**
 * rfc3161 0.0.1: a TimeStampResp that grants a timestamp and carries its signer's certificate, whose signature verifies. The
 * log trusts no authority: who reads the entry does. Errors: ENTRY_INVALID, TIMESTAMP_INVALID, CERTIFICATE_INVALID, KEY_*.
 */
export async function requireRfc3161(spec: Fields, asyncVerifier: AsyncVerifier): Promise<Proposal> {
  const tsr = spec.object('tsr');
  const timestamp = tsr.bytes('content');
  if (timestamp.length > MAX_LOGGED_TIMESTAMP_BYTES) {
    throw tsr.fail('content', `larger than ${MAX_LOGGED_TIMESTAMP_BYTES} bytes`);
  }
  const { signer, content, certificates } = parseTimestampResponse(timestamp);
  const certificate = certificates.map(parseCertificate).find((candidate) => isSigner(signer, candidate));
  if (!certificate) throw tsr.fail('content', 'the certificate of its signer is not in it');
  const { key, hash, message, signature } = signedContent();
  if (!(await asyncVerifier.isValidSignature(key, hash, message, signature))) {
    throw tsr.fail('content', 'the signature does not verify');
  }
  return {
    body: serializeEntryBody({ kind: 'rfc3161', version: '0.0.1', timestamp }),
    searchKeys: [],
    attestation: undefined,
  };

  function signedContent(): ReturnType<typeof requireSignedContent> {
    try {
      return requireSignedContent(signer, OID.timestampInfo, content, certificate as NonNullable<typeof certificate>);
    } catch (cause) {
      if (!(cause instanceof VerificationError)) throw cause;
      throw tsr.fail('content', cause.message, cause);
    }
  }
}
