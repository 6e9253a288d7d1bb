import { parseBase64, parseDecimal, serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import { type PrivateKey, sign } from '../crypto/private-key.ts';
import { InputError } from '../errors.ts';
import { MAX_LOG_SIZE } from '../limits.ts';
import { type Note, parseNote, serializeNote } from './note.ts';

/** A log's statement about its tree at one size. `extensions` are the lines after the root; `note` is what was parsed. */
export interface Checkpoint {
  readonly origin: string;
  readonly treeSize: bigint;
  readonly rootHash: Uint8Array;
  readonly extensions: readonly string[];
  readonly note: Note;
}

const ROOT_BYTES = 32;

const invalid = (problem: string, cause?: unknown): InputError =>
  new InputError('CHECKPOINT_INVALID', `not a checkpoint: ${problem}`, cause === undefined ? {} : { cause });

/**
 * Parses a signed checkpoint (C2SP tlog-checkpoint): a signed note of origin, tree size, root hash and extension lines.
 * Nothing is verified. NOTE_INVALID, CHECKPOINT_INVALID
 */
export function parseCheckpoint(envelope: string): Checkpoint {
  const note = parseNote(envelope);
  // The text ends in a newline and holds no blank line: `parseNote` ends it at the first.
  const [origin = '', size, root, ...extensions] = note.text.slice(0, -1).split('\n');
  if (origin === '' || size === undefined || root === undefined) throw invalid('expected origin, size and root hash');
  return { origin, treeSize: parseSize(size), rootHash: parseRoot(root), extensions, note };
}

function parseSize(text: string): bigint {
  try {
    return parseDecimal(text, MAX_LOG_SIZE);
  } catch (cause) {
    throw invalid('the tree size is not a decimal number', cause);
  }
}

function parseRoot(text: string): Uint8Array {
  let rootHash: Uint8Array;
  try {
    rootHash = parseBase64(text);
  } catch (cause) {
    throw invalid('the root hash is not base64', cause);
  }
  if (rootHash.length !== ROOT_BYTES) throw invalid('the root hash has not 32 bytes');
  return rootHash;
}

/** What a checkpoint says, without signatures. */
export type CheckpointBody = Pick<Checkpoint, 'origin' | 'treeSize' | 'rootHash'>;

/** The note text to be signed, without extension lines. */
export function serializeCheckpoint({ origin, treeSize, rootHash }: CheckpointBody): string {
  return `${origin}\n${treeSize}\n${serializeBase64(rootHash)}\n`;
}

/** Who signs checkpoints. `keyId` are the first 4 bytes of the log ID (note.ts). */
export interface CheckpointKey {
  readonly name: string;
  readonly keyId: Uint8Array;
  readonly key: PrivateKey;
}

/** The signed checkpoint. Rekor v1: the name is the host, the origin `<host> - <treeID>`. Rekor v2: both are the host. */
export function signCheckpoint(checkpoint: CheckpointBody, { name, keyId, key }: CheckpointKey): string {
  const text = serializeCheckpoint(checkpoint);
  return serializeNote({ text, signatures: [{ name, keyId, signature: sign(key, serializeUtf8(text)) }] });
}

/** True if the origin is that of a Rekor v1 tree, `<host> - <treeID>`. */
export const isV1Style = ({ origin }: { readonly origin: string }): boolean => / - [0-9]+$/.test(origin);
