import type { InclusionProof } from '../bundle/bundle.ts';
import { equal } from '../bytes/bytes.ts';
import { VerificationError, withEvidence } from '../errors.ts';
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
  const checkpoint = withEvidence(evidence, 'log', () => parseCheckpoint(envelope));
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

/** A checkpoint that a known log signed. */
export interface SignedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly log: LogInstance;
  /** As it was read. */
  readonly envelope: string;
}

/**
 * A log's checkpoint by itself: of this dialect, and signed by a log that is known (C2SP tlog-checkpoint). NOTE_INVALID,
 * CHECKPOINT_INVALID, LOG_DIALECT_MISMATCH, LOG_UNKNOWN, CHECKPOINT_SIGNATURE_INVALID.
 */
export function verifySignedCheckpoint(
  envelope: string,
  dialect: 1 | 2,
  logs: readonly LogInstance[],
): SignedCheckpoint {
  const checkpoint = parseCheckpoint(envelope);
  if ((dialect === 1) !== isV1Style(checkpoint)) {
    throw new VerificationError(
      'LOG_DIALECT_MISMATCH',
      'log',
      `the checkpoint of ${checkpoint.origin} is not one of Rekor v${dialect}`,
    );
  }
  const log = logs.find((known) => isSignedBy(checkpoint, dialect, known));
  if (log !== undefined) return { checkpoint, log, envelope };
  const claimed = logs.find(({ logId }) =>
    checkpoint.note.signatures.some(({ keyId }) => equal(keyId, logId.subarray(0, keyId.length))),
  );
  if (claimed === undefined) {
    throw new VerificationError('LOG_UNKNOWN', 'log', `the log ${checkpoint.origin} is not in the trusted root`, {
      hint: 'use the trust of the instance that the log belongs to: hallmark trust list',
    });
  }
  throw new VerificationError(
    'CHECKPOINT_SIGNATURE_INVALID',
    'log',
    `the checkpoint of ${checkpoint.origin} is not signed by ${claimed.baseUrl}`,
  );
}

// Rekor v1 signs as the host of its origin `<host> - <treeID>`. A Rekor v2 log is named by the host of its URL, in origin
// and signature alike, so that no log speaks for another with the same key (rekor-tiles).
function isSignedBy({ origin, note }: Checkpoint, dialect: 1 | 2, log: LogInstance): boolean {
  if (dialect === 2 && origin !== URL.parse(log.baseUrl)?.hostname) return false;
  const name = origin.replace(/ - [0-9]+$/, '');
  return isNoteSignedBy(note, { name, keyId: log.logId.subarray(0, 4), publicKey: log.publicKey }, logHash(log));
}
