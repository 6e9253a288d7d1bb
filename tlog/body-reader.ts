import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { StorageError } from '../core/errors.ts';
import { MAX_PENDING_LARGE_BYTES, MIN_LARGE_BODY_BYTES } from '../core/limits.ts';
import { createIndexThread } from './index/thread.ts';
import { type BodyKind, type ReadBody, readRequestBody, refusalOf } from './request-bodies.ts';
import { createStretches } from './stretches.ts';

/** Reads bodies of requests to the log and verifies what is in them, without holding the event loop. */
export interface BodyReader {
  /** `body` is given away. Errors: those of the kind's reader; OVERLOADED. */
  read<K extends BodyKind>(kind: K, body: Uint8Array): Promise<ReadBody<K>>;
  /** Waits for what is being read. */
  close(): Promise<void>;
}

/**
 * A small body is read here, many of them in stretches. A large one, up to megabytes that someone else wrote, goes to a thread
 * of its own, which reads one after the other; `pendingBytes` are those that it was given and has not answered for.
 */
export function createBodyReader(verifier: AsyncVerifier): BodyReader {
  const thread = createIndexThread();
  const inStretches = createStretches(() => performance.now());
  let pendingBytes = 0;

  async function readOnThread<K extends BodyKind>(kind: K, body: Uint8Array): Promise<ReadBody<K>> {
    const { length } = body;
    if (pendingBytes > 0 && pendingBytes + length > MAX_PENDING_LARGE_BYTES) {
      throw new StorageError('OVERLOADED', 'too many large requests wait to be read', {
        hint: 'try again in a second',
      });
    }
    pendingBytes += length;
    try {
      const answer = await thread.run('readLargeBody', [kind, body], [body.buffer as ArrayBuffer]);
      if ('refusal' in answer) throw refusalOf(answer.refusal);
      return answer.read as ReadBody<K>;
    } finally {
      pendingBytes -= length;
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
