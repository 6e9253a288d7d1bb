import { parseBase64, parseDecimal, serializeBase64 } from '../core/bytes/bytes.ts';
import { InputError } from '../core/errors.ts';
import { MAX_LOG_SIZE, MAX_WITNESS_PROOF_HASHES } from '../core/limits.ts';

/** What a log asks a witness to cosign (C2SP tlog-witness, `add-checkpoint`). */
export interface AddCheckpoint {
  /** The size that the witness is thought to have cosigned last. */
  readonly oldSize: bigint;
  /** Consistency proof from that size to the checkpoint's. */
  readonly proof: readonly Uint8Array[];
  /** The signed checkpoint, not parsed. */
  readonly checkpoint: string;
}

const invalid = (problem: string, cause?: unknown): InputError =>
  new InputError('PROOF_INVALID', `not a request to add a checkpoint: ${problem}`, { cause });

/**
 * The body of the request.
 */
export function serializeAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): string {
  return `old ${oldSize}\n${proof.map((hash) => `${serializeBase64(hash)}\n`).join('')}\n${checkpoint}`;
}

/** The inverse. Only the lines before the checkpoint are looked at. PROOF_INVALID */
export function parseAddCheckpoint(body: string): AddCheckpoint {
  const blank = body.indexOf('\n\n');
  if (blank < 0) throw invalid('no blank line before the checkpoint');
  const [first = '', ...lines] = body.slice(0, blank).split('\n');
  if (!first.startsWith('old ')) throw invalid('the first line does not begin with "old "');
  if (lines.length > MAX_WITNESS_PROOF_HASHES) throw invalid(`more than ${MAX_WITNESS_PROOF_HASHES} hashes`);
  return {
    oldSize: parseSize(first.slice('old '.length)),
    proof: lines.map(parseHash),
    checkpoint: body.slice(blank + 2),
  };
}

function parseSize(text: string): bigint {
  try {
    return parseDecimal(text, MAX_LOG_SIZE);
  } catch (cause) {
    throw invalid('the old size is not a decimal number', cause);
  }
}

function parseHash(text: string): Uint8Array {
  let hash: Uint8Array;
  try {
    hash = parseBase64(text);
  } catch (cause) {
    throw invalid('a hash is not base64', cause);
  }
  if (hash.length !== 32) throw invalid('a hash has not 32 bytes');
  return hash;
}

/** Media type of the size that a witness answers a wrong old size with. */
export const SIZE_TYPE = 'text/x.tlog.size';

/**
 * The body of that answer: the size in decimal and a newline. ENCODING_INVALID
 */
export function parseKnownSize(body: string): bigint {
  if (!body.endsWith('\n')) throw new InputError('ENCODING_INVALID', 'the size does not end in a newline');
  return parseDecimal(body.slice(0, -1), MAX_LOG_SIZE);
}
