import { type AsyncVerifier, createAsyncVerifier } from '../core/crypto/async-verifier.ts';
import { type BodyKind, type CopiedRefusal, copyRefusal, type ReadBody, readRequestBody } from './request-bodies.ts';

type Answer = { readonly read: ReadBody<BodyKind> } | { readonly refusal: CopiedRefusal };

let verifier: AsyncVerifier | undefined;
let last: Promise<unknown> = Promise.resolve();

/** Reads a large body on this thread, after those that were given before: one at a time is in memory in many forms. */
export function readLargeBody(kind: BodyKind, body: Uint8Array): Promise<Answer> {
  const reading = last.then(() => readNext(kind, body));
  last = reading.catch(() => {});
  return reading;
}

async function readNext(kind: BodyKind, body: Uint8Array): Promise<Answer> {
  verifier ??= createAsyncVerifier();
  try {
    return { read: await readRequestBody(kind, body, verifier) };
  } catch (error) {
    const refusal = copyRefusal(error);
    if (refusal === undefined) throw error;
    return { refusal };
  } finally {
    // What is left is several times the body, and the thread may have nothing to do for long.
    setImmediate(() => Bun.gc(false));
  }
}
