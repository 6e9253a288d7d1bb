import { equal, parseUtf8 } from '../core/bytes/bytes.ts';
import { InputError, ServiceError } from '../core/errors.ts';
import { type FetchLike, type HttpRequest, joinUrl, readAnswer, requestOnce } from '../core/http/client.ts';
import { MAX_WITNESS_ANSWER_BYTES } from '../core/limits.ts';
import { parseCheckpoint } from '../core/merkle/checkpoint.ts';
import { verifyCosignature } from '../core/merkle/cosignature.ts';
import { type NoteSignature, parseSignatureLines } from '../core/merkle/note.ts';
import type { Vkey } from '../core/merkle/vkey.ts';
import { parseKnownSize, SIZE_TYPE, serializeAddCheckpoint } from './add-checkpoint.ts';
import type { LogReader } from './log-reader.ts';

/** A witness that a log asks: its submission prefix and its key. */
export interface WitnessAddress {
  readonly url: string;
  readonly vkey: Vkey;
}

export interface WitnessClient {
  readonly vkey: Vkey;
  /**
   * The witness's cosignature of a head that is durable; later heads are not smaller. Nothing else of its answer is used.
   * Errors: ServiceError, also if it has seen a larger tree than this log has.
   */
  cosignatureOf(head: ReturnType<LogReader['head']>): Promise<NoteSignature>;
}

/** Requests for one cosignature: one that tells the size, one with the proof from there, one more if somebody raced us. */
const MAX_ATTEMPTS = 3;

/** A client of C2SP tlog-witness. `prove` gives consistency proofs of the log. */
export function createWitnessClient(options: {
  readonly witness: WitnessAddress;
  readonly timeoutMs: number;
  readonly fetch: FetchLike;
  readonly prove: LogReader['consistencyPath'];
}): WitnessClient {
  const { fetch, prove } = options;
  const { url, vkey } = options.witness;
  // What the witness cosigned last, as far as is known here; it tells if that is wrong.
  let known = 0n;

  async function cosignatureOf(head: ReturnType<LogReader['head']>): Promise<NoteSignature> {
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const proof = await prove(known, head.treeSize);
      const call: HttpRequest = {
        service: `the witness ${vkey.name}`,
        method: 'POST',
        url: joinUrl(url, '/add-checkpoint'),
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body: serializeAddCheckpoint({ oldSize: known, proof, checkpoint: head.checkpoint }),
        timeoutMs: options.timeoutMs,
        accept: [200, 409],
        maxBytes: MAX_WITNESS_ANSWER_BYTES,
        maxRedirects: 0,
        wrongUrlHint: 'correct the URL of the witness in the configuration: it is what stands before /add-checkpoint',
      };
      const { status, headers, body } = await requestOnce(fetch, call);
      if (status === 200) {
        const line = readAnswer(call, () => requireCosignature(parseUtf8(body), head.checkpoint, vkey));
        known = head.treeSize;
        return line;
      }
      const size = readAnswer(call, () => {
        const [type] = (headers.get('content-type') ?? '').split(';', 1);
        if (type !== SIZE_TYPE) throw new InputError('ENCODING_INVALID', `not a ${SIZE_TYPE}`);
        return parseKnownSize(parseUtf8(body));
      });
      if (size > head.treeSize) throw largerTree(call, size, head.treeSize);
      known = size;
    }
    throw new ServiceError(
      'SERVICE_ANSWER_INVALID',
      `the witness ${vkey.name} named another size of this log ${MAX_ATTEMPTS} times in a row`,
      { hint: 'is another server running with the key of this log?' },
    );
  }

  return { vkey, cosignatureOf };
}

// What else the witness says is ignored: lines of other keys, and what they sign.
function requireCosignature(lines: string, checkpoint: string, vkey: Vkey): NoteSignature {
  const own = parseSignatureLines(lines).filter(({ name, keyId }) => name === vkey.name && equal(keyId, vkey.keyId));
  const { text } = parseCheckpoint(checkpoint).note;
  const [line] = own;
  if (line === undefined || !verifyCosignature({ text, signatures: own }, vkey)) {
    throw new InputError('NOTE_INVALID', `no cosignature of this checkpoint by ${vkey.name}`);
  }
  return line;
}

// Only a key that signs two logs, or a database that went back, leads here.
function largerTree(call: HttpRequest, theirs: bigint, ours: bigint): ServiceError {
  return new ServiceError(
    'SERVICE_REFUSED',
    `${call.service} at ${call.url} has cosigned a tree of ${theirs} entries of this log, which has ${ours}`,
    {
      status: 409,
      hint: 'the data directory is older than what was published: restore the newest one; a log that went back is a fork',
    },
  );
}
