import type { Bundle, TransparencyLogEntry } from '../bundle/bundle.ts';
import { dialectOf, parseEntryBody } from '../bundle/entry.ts';
import { serializeHex } from '../bytes/bytes.ts';
import { VerificationError, withEvidence } from '../errors.ts';
import { leafHash, verifyInclusion } from '../merkle/tree.ts';
import type { LogInstance } from '../trust/trusted-root.ts';
import { verifyCheckpoint } from './checkpoint.ts';
import { requireMatchingBody, type SignedThing } from './entry-body.ts';
import { requireKnownLog } from './known-log.ts';

/** An entry that its log vouches for and that is about this very signature. */
export interface VerifiedLogEntry {
  readonly log: LogInstance;
  /** Position in the log as far as it is vouched for: over all shards under an inclusion promise, else in the proof's tree. */
  readonly logIndex: bigint;
  /** Present only under an inclusion promise. */
  readonly integratedTime: Date | undefined;
  readonly kind: string;
  readonly version: string;
}

/**
 * Step 3, client specification §4.5 and §4.6: every entry of the bundle is in a known log and repeats the signature, the key
 * and the digest; and enough distinct logs have one. `instants` is when the signature existed. LOG_*, INCLUSION_PROOF_*,
 * CHECKPOINT_*, KEY_EXPIRED.
 */
export function verifyLogEntries(
  bundle: Bundle,
  signed: SignedThing,
  logs: readonly LogInstance[],
  instants: readonly Date[],
  required: { readonly logs: number },
): VerifiedLogEntry[] {
  const seen = new Set<string>();
  const verified = bundle.tlogEntries.map((entry, i) => {
    const evidence = `verificationMaterial.tlogEntries[${i}]`;
    const leaf = leafHash(entry.canonicalizedBody);
    for (const identity of [`${entry.logIndex}`, serializeHex(leaf)]) {
      const key = `${serializeHex(entry.logId)} ${identity}`;
      if (seen.has(key)) {
        throw new VerificationError('LOG_ENTRY_DUPLICATE', 'log', 'the same log entry twice', { evidence });
      }
      seen.add(key);
    }
    return verifyLogEntry(bundle, { ...entry, leafHash: leaf }, signed, logs, instants, evidence);
  });
  // By key: a log that a trusted root lists twice is still one.
  const distinct = new Set(verified.map(({ log }) => serializeHex(log.publicKey.spki)));
  if (distinct.size < required.logs) {
    throw new VerificationError(
      'LOG_ENTRY_MISSING',
      'log',
      `logged in ${distinct.size} transparency logs, ${required.logs} required`,
      { evidence: 'verificationMaterial.tlogEntries' },
    );
  }
  return verified;
}

type HashedEntry = TransparencyLogEntry & { readonly leafHash: Uint8Array };

function verifyLogEntry(
  bundle: Bundle,
  entry: HashedEntry,
  signed: SignedThing,
  logs: readonly LogInstance[],
  instants: readonly Date[],
  evidence: string,
): VerifiedLogEntry {
  const log = requireKnownLog(entry, logs, instants, evidence);
  const body = withEvidence(`${evidence}.canonicalizedBody`, 'log', () => parseEntryBody(entry.canonicalizedBody));
  const dialect = dialectOf(body);
  const { kind, version } = entry.kindVersion;
  if (kind !== body.kind || version !== body.version) {
    throw new VerificationError(
      'LOG_ENTRY_MISMATCH',
      'log',
      `said to be ${kind} ${version}, but its body is ${body.kind} ${body.version}`,
      { evidence: `${evidence}.kindVersion` },
    );
  }
  // The promise itself was verified with the times. Rekor v2 gives none.
  const promised = entry.inclusionPromise !== undefined;
  if (promised && dialect === 2) {
    throw new VerificationError('LOG_DIALECT_MISMATCH', 'log', 'an entry of Rekor v2 with an inclusion promise of v1', {
      evidence: `${evidence}.inclusionPromise`,
    });
  }
  if (bundle.version === '0.1' && !promised) {
    throw new VerificationError('LOG_ENTRY_MISSING', 'log', 'a bundle of version 0.1 needs an inclusion promise', {
      evidence: `${evidence}.inclusionPromise`,
    });
  }
  verifyInclusionInLog(bundle, entry, dialect, log, evidence);
  withEvidence(`${evidence}.canonicalizedBody`, 'log', () =>
    requireMatchingBody(body, signed, `${evidence}.canonicalizedBody`),
  );
  return {
    log,
    logIndex: promised ? entry.logIndex : (entry.inclusionProof?.logIndex ?? entry.logIndex),
    integratedTime: promised ? new Date(Number(entry.integratedTime) * 1000) : undefined,
    kind,
    version,
  };
}

// Bundles from version 0.2 on need a proof and its checkpoint; in 0.1 the promise stands alone, but what is there has to be
// right (sigstore_rekor.proto, sigstore_bundle.proto).
function verifyInclusionInLog(
  bundle: Bundle,
  entry: HashedEntry,
  dialect: 1 | 2,
  log: LogInstance,
  evidence: string,
): void {
  const proof = entry.inclusionProof;
  if (proof === undefined || (proof.checkpoint === undefined && bundle.version !== '0.1')) {
    if (bundle.version === '0.1') return;
    throw new VerificationError(
      'INCLUSION_PROOF_MISSING',
      'log',
      proof === undefined ? 'the entry has no inclusion proof' : 'the inclusion proof has no checkpoint',
      { evidence: `${evidence}.inclusionProof` },
    );
  }
  if (dialect === 2 && proof.logIndex !== entry.logIndex) {
    throw new VerificationError('INCLUSION_PROOF_WRONG', 'log', 'the proof is about another index than the entry', {
      evidence: `${evidence}.inclusionProof.logIndex`,
    });
  }
  withEvidence(`${evidence}.inclusionProof`, 'log', () =>
    verifyInclusion({
      leafHash: entry.leafHash,
      index: proof.logIndex,
      treeSize: proof.treeSize,
      hashes: proof.hashes,
      rootHash: proof.rootHash,
    }),
  );
  if (proof.checkpoint !== undefined) {
    verifyCheckpoint(proof.checkpoint, proof, dialect, log, `${evidence}.inclusionProof.checkpoint`);
  }
}
