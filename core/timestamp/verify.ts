import { equal } from '../bytes/bytes.ts';
import { isSigner, verifySignerInfo } from '../cms/verify.ts';
import { digest } from '../crypto/hash.ts';
import { VerificationError } from '../errors.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { verifyChain } from '../x509/chain.ts';
import { OID } from '../x509/oids.ts';
import { isValidAt, type Validity } from '../x509/validity.ts';
import { parseTimestampResponse, type SignedTimestamp } from './response.ts';
import { requireSigningCertificate } from './signing-certificate.ts';

/** A timestamp authority that is trusted during `validFor`. The chain goes from the leaf, if it is known, to the root. */
export interface TimestampAuthority {
  readonly chain: readonly Certificate[];
  readonly validFor: Validity;
  readonly uri?: string | undefined;
}

/** A time that a trusted authority vouches for: the signed bytes existed then. */
export interface VerifiedTimestamp<Authority extends TimestampAuthority = TimestampAuthority> {
  readonly time: Date;
  readonly authority: Authority;
}

/**
 * Verifies a TimeStampResp over the bytes `signed` (RFC 3161 §2.4.2, RFC 5816). Errors: TIMESTAMP_INVALID; VerificationError
 * (step 'time') TIMESTAMP_MISMATCH, _UNTRUSTED, _SIGNATURE_INVALID, _OUTSIDE_VALIDITY.
 */
export function verifyTimestamp<Authority extends TimestampAuthority>(
  response: Uint8Array,
  signed: Uint8Array,
  authorities: readonly Authority[],
): VerifiedTimestamp<Authority> {
  return verifySignedTimestamp(parseTimestampResponse(response), signed, authorities);
}

/** As `verifyTimestamp`, of a response or token that is already parsed. */
export function verifySignedTimestamp<Authority extends TimestampAuthority>(
  timestamp: SignedTimestamp,
  signed: Uint8Array,
  authorities: readonly Authority[],
): VerifiedTimestamp<Authority> {
  const { imprint } = timestamp.info;
  if (!equal(imprint.digest, digest(imprint.hash, signed)))
    throw rejected('TIMESTAMP_MISMATCH', 'timestamp is over other bytes than the signature');
  let failure: VerificationError | undefined;
  for (const authority of authorities) {
    try {
      verifyUnderAuthority(timestamp, authority);
      return { time: timestamp.info.time, authority };
    } catch (error) {
      if (!(error instanceof VerificationError)) throw error;
      // Several authorities may share a name; the one that got furthest tells most.
      if (failure === undefined || failure.code === 'TIMESTAMP_UNTRUSTED') failure = error;
    }
  }
  throw failure ?? rejected('TIMESTAMP_UNTRUSTED', 'no timestamp authority is trusted');
}

function verifyUnderAuthority(timestamp: SignedTimestamp, authority: TimestampAuthority): void {
  const { signer, content, info } = timestamp;
  // One certificate for all that follows: to check the signature with one and the chain with another is GHSA-xm5m-wgh2-rrg3.
  const { certificate, intermediates } = findSigner(timestamp, authority);

  // RFC 3161 §2.3: the authority's certificate, for time stamping alone, valid at the time of the timestamp.
  const anchor = authority.chain.at(-1);
  if (anchor === undefined) throw rejected('TIMESTAMP_UNTRUSTED', 'timestamp authority has no certificate');
  asTimestamp('TIMESTAMP_UNTRUSTED', () =>
    verifyChain(certificate, intermediates, [anchor], info.time, 'timeStamping'),
  );

  // RFC 3161 §2.4.2, RFC 5816 §2.2.1: the signed attributes name that certificate.
  requireSigningCertificate(signer.signedAttributes?.attributes ?? [], certificate);

  // RFC 5652 §5.6: the signature.
  asTimestamp('TIMESTAMP_SIGNATURE_INVALID', () => verifySignerInfo(signer, OID.timestampInfo, content, certificate));

  // The trusted root's own window for this authority.
  if (!isValidAt(authority.validFor, info.time))
    throw rejected(
      'TIMESTAMP_OUTSIDE_VALIDITY',
      `timestamp of ${info.time.toISOString()} is from outside of the time in which its authority is trusted`,
    );
}

/**
 * The certificate that the signer points to. Where the trusted root gives the leaf, only that one will do; else it comes with the
 * timestamp and is worth as much as its chain. No other leaf may come along.
 */
function findSigner(
  timestamp: SignedTimestamp,
  authority: TimestampAuthority,
): { certificate: Certificate; intermediates: readonly Certificate[] } {
  // What the trusted root has is parsed already.
  const embedded = timestamp.certificates.map(
    (der) => authority.chain.find((certificate) => equal(certificate.der, der)) ?? parseCertificate(der),
  );
  const leaves = embedded.filter(({ isCa }) => !isCa);
  const known = authority.chain.filter(({ isCa }) => isCa);
  const [first] = authority.chain;
  const isPinned = first !== undefined && !first.isCa;
  const certificate = isPinned ? first : leaves[0];
  if (certificate === undefined)
    throw rejected('TIMESTAMP_UNTRUSTED', 'neither timestamp nor trusted root has the certificate of the signer');
  if (!isSigner(timestamp.signer, certificate))
    throw rejected('TIMESTAMP_UNTRUSTED', 'timestamp is not of a trusted timestamp authority');
  if (!leaves.every(({ der }) => equal(der, certificate.der)))
    throw rejected('TIMESTAMP_UNTRUSTED', 'timestamp carries the certificate of another signer');
  return { certificate, intermediates: isPinned ? known : [...known, ...embedded.filter(({ isCa }) => isCa)] };
}

/** Runs a step of another format and tells its rejection as one of the timestamp. */
function asTimestamp(code: 'TIMESTAMP_UNTRUSTED' | 'TIMESTAMP_SIGNATURE_INVALID', step: () => void): void {
  try {
    step();
  } catch (cause) {
    if (!(cause instanceof VerificationError)) throw cause;
    throw new VerificationError(code, 'time', `timestamp: ${cause.message}`, { cause });
  }
}

const rejected = (
  code: 'TIMESTAMP_MISMATCH' | 'TIMESTAMP_UNTRUSTED' | 'TIMESTAMP_OUTSIDE_VALIDITY',
  problem: string,
): VerificationError => new VerificationError(code, 'time', problem);
