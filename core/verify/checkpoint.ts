import type { InclusionProof } from '../bundle/bundle.ts';
import { equal } from '../bytes/bytes.ts';
import { VerificationError } from '../errors.ts';
import { type Checkpoint, isV1Style, parseCheckpoint } from '../merkle/checkpoint.ts';
import { isNoteSignedBy } from '../merkle/note.ts';
import type { LogInstance } from '../trust/trusted-root.ts';
import { logHash } from './signature-hash.ts';

/**
 * The checkpoint commits to the proof's tree, has the form of the entry's dialect, and is signed by the log (C2SP
 * tlog-checkpoint; client specification §4.5). CHECKPOINT_INVALID, INCLUSION_PROOF_WRONG, LOG_DIALECT_MISMATCH,
 * CHECKPOINT_SIGNATURE_INVALID.
 */
export function verifyCheckpoint(
  envelope: string,
  proof: InclusionProof,
  dialect: 1 | 2,
  log: LogInstance,
  evidence: string,
): void {
  const checkpoint = parseCheckpoint(envelope);
  if (checkpoint.treeSize !== proof.treeSize || !equal(checkpoint.rootHash, proof.rootHash)) {
    throw new VerificationError('INCLUSION_PROOF_WRONG', 'log', 'the checkpoint is about another tree than the proof', {
      evidence,
    });
  }
  if ((dialect === 1) !== isV1Style(checkpoint)) {
    throw new VerificationError(
      'LOG_DIALECT_MISMATCH',
      'log',
      `an entry of Rekor v${dialect} under a checkpoint of the other dialect`,
      { evidence },
    );
  }
  if (!isSignedBy(checkpoint, dialect, log)) {
    throw new VerificationError(
      'CHECKPOINT_SIGNATURE_INVALID',
      'log',
      `the checkpoint is not signed by ${log.baseUrl}`,
      {
        evidence,
      },
    );
  }
}

// Rekor v1 signs as the host of its origin `<host> - <treeID>`. A Rekor v2 log is named by the host of its URL, in origin
// and signature alike, so that no log speaks for another with the same key (rekor-tiles).
function isSignedBy({ origin, note }: Checkpoint, dialect: 1 | 2, log: LogInstance): boolean {
  if (dialect === 2 && origin !== URL.parse(log.baseUrl)?.hostname) return false;
  const name = origin.replace(/ - [0-9]+$/, '');
  return isNoteSignedBy(note, { name, keyId: log.logId.subarray(0, 4), publicKey: log.publicKey }, logHash(log));
}
