import type { TransparencyLogEntry } from '../bundle/bundle.ts';
import { VerificationError } from '../errors.ts';
import { leafHash, verifyInclusion } from '../merkle/tree.ts';
import type { LogInstance } from '../trust/trusted-root.ts';
import { verifyCheckpoint } from './checkpoint.ts';
import { requireKnownLog } from './known-log.ts';
import { verifyInclusionPromise } from './times.ts';

/** An entry as a log shows it, which is in the tree of a checkpoint that the log signed. */
export interface ReadEntry {
  readonly log: LogInstance;
  readonly entry: TransparencyLogEntry;
  /** Only where the log promised it with its signature. */
  readonly integratedTime: Date | undefined;
}

/**
 * An entry by itself, whatever it is about: a known log has it, by proof and signed checkpoint, and signed its time if there
 * is a promise. LOG_UNKNOWN, KEY_EXPIRED, SET_INVALID, INCLUSION_PROOF_*, CHECKPOINT_*, LOG_DIALECT_MISMATCH.
 */
export function verifyReadEntry(entry: TransparencyLogEntry, dialect: 1 | 2, logs: readonly LogInstance[]): ReadEntry {
  const promise = verifyInclusionPromise(entry, logs, 'inclusionPromise');
  const log = requireKnownLog(entry, logs, promise ? [promise.time] : [], 'logId');
  const proof = entry.inclusionProof;
  if (proof?.checkpoint === undefined) {
    throw new VerificationError('INCLUSION_PROOF_MISSING', 'log', 'the log gave no inclusion proof with a checkpoint');
  }
  verifyInclusion({
    leafHash: leafHash(entry.canonicalizedBody),
    index: proof.logIndex,
    treeSize: proof.treeSize,
    hashes: proof.hashes,
    rootHash: proof.rootHash,
  });
  verifyCheckpoint(proof.checkpoint, proof, dialect, log, 'inclusionProof.checkpoint');
  return { log, entry, integratedTime: promise?.time };
}
