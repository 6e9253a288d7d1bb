import type { PrivateKey } from '../core/crypto/private-key.ts';
import { sign } from '../core/crypto/private-key.ts';
import { keyFingerprint } from '../core/crypto/public-key.ts';
import { type Certificate, parseCertificate } from '../core/x509/certificate.ts';
import { type CtLog, type Sct, sctSignedData } from '../core/x509/sct.ts';
import {
  ctEntryOf,
  ctIdentity,
  serializeExtraData,
  serializeMerkleTreeLeaf,
  TLS_ECDSA,
  TLS_SHA256,
  timestampOfLeaf,
} from './ct-entry.ts';
import type { Log } from './log.ts';

/**
 * Logs a certificate or precertificate under its verified chain (issuer first, root last), and promises its inclusion
 * (RFC 6962 §3). The promise is already kept when it is given: the entry is durable and in the tree. The same certificate
 * gets the timestamp of its first time. Errors: those of `append`.
 */
export async function submitToCtLog(
  log: Log,
  key: PrivateKey,
  clock: () => Date,
  certificate: Certificate,
  chain: readonly [Certificate, ...Certificate[]],
): Promise<Sct> {
  const entry = ctEntryOf(certificate, chain[0]);
  const { body } = await log.append({
    body: serializeMerkleTreeLeaf(BigInt(clock().getTime()), entry),
    identity: ctIdentity(entry),
    extra: serializeExtraData(certificate, chain),
  });
  const sct = { timestamp: timestampOfLeaf(body), extensions: new Uint8Array(0) };
  return {
    ...sct,
    logId: keyFingerprint(key.publicKey),
    hashAlgorithm: TLS_SHA256,
    signatureAlgorithm: TLS_ECDSA,
    signature: sign(key, sctSignedData(sct, entry)),
  };
}

/** The log as the CA in the same process uses it: the CA vouches for its own precertificate and chain. */
export function createCtLog(log: Log, key: PrivateKey, clock: () => Date): CtLog {
  return (precertificate, issuer) => submitToCtLog(log, key, clock, parseCertificate(precertificate), [issuer]);
}
