import { Fields } from '../core/bytes/fields.ts';
import { type Json, parseJson } from '../core/bytes/json.ts';
import type { Envelope } from '../core/dsse/envelope.ts';
import { HallmarkError } from '../core/errors.ts';
import { MAX_ENTRY_SEARCH_KEYS } from '../core/limits.ts';
import { digestSearchKey } from './search-keys.ts';

const IN_TOTO_PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/**
 * The keys of what an in-toto statement is about: digests of its subjects, and of the materials that a SLSA predicate names
 * (as the reference finds envelopes). None if the payload is something else.
 */
export function statementSearchKeys({ payloadType, payload }: Envelope): Uint8Array[] {
  if (payloadType !== IN_TOTO_PAYLOAD_TYPE) return [];
  try {
    const statement = new Fields(parseJson(payload), '', 'STATEMENT_INVALID');
    const predicate = objectOrNone(statement.json('predicate'));
    return [...digestKeys(statement.json('subject')), ...digestKeys(predicate?.json('materials'))];
  } catch (error) {
    // The log records signatures over any payload; what cannot be read cannot be searched.
    if (error instanceof HallmarkError) return [];
    throw error;
  }
}

function digestKeys(things: Json | undefined): Uint8Array[] {
  if (!Array.isArray(things)) return [];
  const keys: Uint8Array[] = [];
  for (const thing of things.slice(0, MAX_ENTRY_SEARCH_KEYS)) {
    const digests = objectOrNone(objectOrNone(thing)?.json('digest'));
    for (const algorithm of digests?.keys() ?? []) {
      const value = digests?.json(algorithm);
      if (typeof value === 'string' && keys.length < MAX_ENTRY_SEARCH_KEYS)
        keys.push(digestSearchKey(algorithm, value));
    }
  }
  return keys;
}

const objectOrNone = (value: Json | undefined): Fields | undefined =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? new Fields(value, '', 'STATEMENT_INVALID')
    : undefined;
