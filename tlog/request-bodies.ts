import { parseJson } from '../core/bytes/json.ts';
import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { InputError, type InputErrorCode, StorageError } from '../core/errors.ts';
import { MAX_LOG_REQUEST_MEMBERS } from '../core/limits.ts';
import { boundRequest } from './envelope-signatures.ts';
import { Refusal } from './http.ts';
import { requireProposal } from './proposal-v1.ts';
import { requireProposalV2 } from './proposal-v2.ts';
import { requireRetrieval } from './retrieval.ts';

/** How the bodies are read that may be large: each from its JSON, signatures verified. */
const BODIES = {
  proposal: (body: Uint8Array, verifier: AsyncVerifier) => requireProposal(json(body), verifier),
  proposalV2: (body: Uint8Array, verifier: AsyncVerifier) => requireProposalV2(json(body), verifier),
  retrieval: (body: Uint8Array, verifier: AsyncVerifier) => requireRetrieval(json(body), verifier),
};
const json = (body: Uint8Array) => parseJson(body, MAX_LOG_REQUEST_MEMBERS);

export type BodyKind = keyof typeof BODIES;
export type ReadBody<K extends BodyKind> = Awaited<ReturnType<(typeof BODIES)[K]>>;

export const readRequestBody = <K extends BodyKind>(
  kind: K,
  body: Uint8Array,
  verifier: AsyncVerifier,
): Promise<ReadBody<K>> => BODIES[kind](body, boundRequest(verifier)) as Promise<ReadBody<K>>;

/** A refusal that can be copied between threads. */
export type CopiedRefusal =
  | { readonly input: InputErrorCode; readonly message: string }
  | { readonly status: number; readonly message: string }
  | { readonly overloaded: string };

/** What a client may be told; undefined for a fault of our own. */
export function copyRefusal(error: unknown): CopiedRefusal | undefined {
  if (error instanceof InputError) return { input: error.code as InputErrorCode, message: error.message };
  if (error instanceof Refusal) return { status: error.status, message: error.message };
  if (error instanceof StorageError && error.code === 'OVERLOADED') return { overloaded: error.message };
  return undefined;
}

export function refusalOf(copy: CopiedRefusal): Error {
  if ('input' in copy) return new InputError(copy.input, copy.message);
  if ('status' in copy) return new Refusal(copy.status, copy.message);
  return new StorageError('OVERLOADED', copy.overloaded, { hint: 'try again in a second' });
}
