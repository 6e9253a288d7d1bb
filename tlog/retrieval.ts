import { dialectOf, parseEntryBody } from '../core/bundle/entry.ts';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { canonicalizeJson, type Json } from '../core/bytes/json.ts';
import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { InputError } from '../core/errors.ts';
import { MAX_RETRIEVE_ENTRIES } from '../core/limits.ts';
import { leafHash } from '../core/merkle/tree.ts';
import { Refusal } from './http.ts';
import { requireProposal } from './proposal-v1.ts';

/** What `entries/retrieve` is asked for, together at most MAX_RETRIEVE_ENTRIES. */
export interface Retrieval {
  /** Entry IDs, as they came. */
  readonly ids: readonly string[];
  readonly indexes: readonly bigint[];
  /** Leaf hashes of the entries that were given themselves. */
  readonly leafHashes: readonly Uint8Array[];
}

/** Reads a SearchLogQuery. Refuses with 422 what its schema does not know; errors of a proposal are those of `requireProposal`. */
export async function requireRetrieval(json: Json, verifier: AsyncVerifier): Promise<Retrieval> {
  const fields = new Fields(json, '', 'FIELD_INVALID');
  const ids = fields.array('entryUUIDs', Number.MAX_SAFE_INTEGER);
  const indexes = fields.array('logIndexes', Number.MAX_SAFE_INTEGER);
  const entries = fields.array('entries', Number.MAX_SAFE_INTEGER);
  if (ids.length + indexes.length + entries.length > MAX_RETRIEVE_ENTRIES) {
    throw new Refusal(422, `more than max allowed ${MAX_RETRIEVE_ENTRIES} entries in request`);
  }
  const leafHashes: Uint8Array[] = [];
  for (const entry of entries) leafHashes.push(leafHash(await bodyOf(entry, verifier)));
  return { ids: ids.map(requireText), indexes: indexes.map(requireIndex), leafHashes };
}

function requireText(id: Json): string {
  if (typeof id !== 'string') throw new Refusal(422, 'entryUUIDs in body must be strings');
  return id;
}

function requireIndex(index: Json): bigint {
  if (typeof index !== 'number' || !Number.isSafeInteger(index) || index < 0) {
    throw new Refusal(422, 'logIndexes in body must be non-negative integers');
  }
  return BigInt(index);
}

/** The canonical body of a proposal; or the JSON itself where it is one, for nothing needs to verify that is not logged. */
async function bodyOf(entry: Json, verifier: AsyncVerifier): Promise<Uint8Array> {
  try {
    return (await requireProposal(entry, verifier)).body;
  } catch (error) {
    const logged = error instanceof InputError ? loggedBody(entry) : undefined;
    if (logged === undefined) throw error;
    return logged;
  }
}

function loggedBody(entry: Json): Uint8Array | undefined {
  const body = serializeUtf8(canonicalizeJson(entry));
  try {
    return dialectOf(parseEntryBody(body)) === 1 ? body : undefined;
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}
