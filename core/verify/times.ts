import type { Bundle, TransparencyLogEntry } from '../bundle/bundle.ts';
import { signedEntryTimestampPayload } from '../bundle/set.ts';
import { equal, serializeHex } from '../bytes/bytes.ts';
import { isValidSignature } from '../crypto/verify.ts';
import { VerificationError, withEvidence } from '../errors.ts';
import { verifyTimestamp } from '../timestamp/verify.ts';
import type { CertificateAuthority, LogInstance, TrustedRoot } from '../trust/trusted-root.ts';
import { requireKnownLog } from './known-log.ts';
import { logHash } from './signature-hash.ts';

/** An instant at which the signature existed, and who vouches for it. */
export type VerifiedTime = { readonly time: Date } & (
  | { readonly source: 'timestamp authority'; readonly authority: CertificateAuthority }
  | { readonly source: 'log'; readonly log: LogInstance }
);

/**
 * Step 1, client specification §4.2: when the signature existed. Every signed timestamp and every inclusion promise of the
 * bundle is verified, needed or not. A log's integrated time counts only under a promise: an inclusion proof does not
 * cover it. TIMESTAMP_*, SET_INVALID, LOG_UNKNOWN, KEY_EXPIRED, TIME_MISSING.
 */
export function verifyTimes(
  bundle: Bundle,
  signature: Uint8Array,
  root: TrustedRoot,
  required: { readonly any: boolean; readonly timestampAuthorities: number },
): VerifiedTime[] {
  const stamped = bundle.timestamps.map((response, i) => {
    const evidence = `verificationMaterial.timestampVerificationData.rfc3161Timestamps[${i}]`;
    if (bundle.timestamps.findIndex((other) => equal(other, response)) < i) {
      throw new VerificationError('TIMESTAMP_DUPLICATE', 'time', 'the same timestamp twice', { evidence });
    }
    return withEvidence(evidence, 'time', () => verifyTimestamp(response, signature, root.timestampAuthorities));
  });
  // By key: an authority that a trusted root lists twice, for two periods, is still one.
  const authorities = new Set(
    stamped.map(({ authority }) => serializeHex(authority.chain[0]?.spki ?? new Uint8Array())),
  );
  if (authorities.size < required.timestampAuthorities) {
    throw new VerificationError(
      'TIME_MISSING',
      'time',
      `${authorities.size} timestamp authorities vouch for the time, ${required.timestampAuthorities} are required`,
      { evidence: 'verificationMaterial.timestampVerificationData' },
    );
  }
  const times: VerifiedTime[] = stamped.map((each) => ({ source: 'timestamp authority', ...each }));
  bundle.tlogEntries.forEach((entry, i) => {
    const time = verifyInclusionPromise(entry, root.tlogs, `verificationMaterial.tlogEntries[${i}]`);
    if (time !== undefined) times.push(time);
  });
  if (required.any && times.length === 0) {
    throw new VerificationError('TIME_MISSING', 'time', 'nothing in the bundle proves when it was signed', {
      evidence: 'verificationMaterial',
      hint: 'sign again with a timestamp authority; a certificate is valid for minutes only',
    });
  }
  return times;
}

/** Verifies the log's promise (SET) if there is one, and returns the integrated time that it covers. */
export function verifyInclusionPromise(
  entry: TransparencyLogEntry,
  logs: readonly LogInstance[],
  evidence: string,
): VerifiedTime | undefined {
  const { inclusionPromise, integratedTime, canonicalizedBody: body, logId, logIndex } = entry;
  if (inclusionPromise === undefined) return undefined;
  if (integratedTime === undefined) {
    throw new VerificationError('SET_INVALID', 'log', 'an inclusion promise without the time that it promises', {
      evidence: `${evidence}.integratedTime`,
    });
  }
  const time = new Date(Number(integratedTime) * 1000);
  const log = requireKnownLog(entry, logs, [time], evidence);
  const payload = withEvidence(evidence, 'log', () =>
    signedEntryTimestampPayload({ body, integratedTime, logId, logIndex }),
  );
  if (!isValidSignature(log.publicKey, logHash(log), payload, inclusionPromise)) {
    throw new VerificationError('SET_INVALID', 'log', `the inclusion promise is not signed by ${log.baseUrl}`, {
      evidence: `${evidence}.inclusionPromise`,
    });
  }
  return { source: 'log', time, log };
}
