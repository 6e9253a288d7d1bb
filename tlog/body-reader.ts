import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { StorageError } from '../core/errors.ts';
import { MAX_PENDING_LARGE_BYTES, MAX_WAITING_LARGE_MS, MIN_LARGE_BODY_BYTES } from '../core/limits.ts';
import { createIndexThread, type IndexThread } from './index/thread.ts';
import { type BodyKind, type ReadBody, readRequestBody, refusalOf } from './request-bodies.ts';
import { createStretches } from './stretches.ts';

/** Reads bodies of requests to the log and verifies what is in them, without holding the event loop. */
export interface BodyReader {
  /** `body` is given away. Errors: those of the kind's reader; OVERLOADED. */
  read<K extends BodyKind>(kind: K, body: Uint8Array): Promise<ReadBody<K>>;
  /** Waits for what is being read. */
  close(): Promise<void>;
}

/** Share of the newest request in the average of what one takes. */
const WEIGHT = 0.1;

/**
 * A small body is read here, many of them in stretches. A large one, up to megabytes that someone else wrote, goes to a thread
 * of its own, which reads one after the other; `pendingBytes` are those that it was given and has not answered for.
 */
export function createBodyReader(
  verifier: AsyncVerifier,
  thread: Pick<IndexThread, 'run' | 'close'> = createIndexThread(),
  now = () => performance.now(),
): BodyReader {
  const inStretches = createStretches(now);
  let pendingBytes = 0;
  let pending = 0;
  // Of the requests before; one that is slow counts for some ten after it.
  let averageMs = 0;

  async function readOnThread<K extends BodyKind>(kind: K, body: Uint8Array): Promise<ReadBody<K>> {
    const { length } = body;
    const isFull = pendingBytes + length > MAX_PENDING_LARGE_BYTES || pending * averageMs > MAX_WAITING_LARGE_MS;
    if (pending > 0 && isFull) {
      throw new StorageError('OVERLOADED', 'too many large requests wait to be read', {
        hint: 'try again in a second',
      });
    }
    pendingBytes += length;
    pending += 1;
    const started = now();
    const before = pending;
    try {
      const answer = await thread.run('readLargeBody', [kind, body], [body.buffer as ArrayBuffer]);
      if ('refusal' in answer) throw refusalOf(answer.refusal);
      return answer.read as ReadBody<K>;
    } finally {
      pendingBytes -= length;
      pending -= 1;
      // It waited for those before it, which took as long each.
      averageMs += WEIGHT * ((now() - started) / before - averageMs);
    }
  }

  return {
    read: (kind, body) =>
      body.length < MIN_LARGE_BODY_BYTES
        ? inStretches(() => readRequestBody(kind, body, verifier))
        : readOnThread(kind, body),
    close: thread.close,
  };
}
