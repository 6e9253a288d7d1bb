import { concat } from '../core/bytes/bytes.ts';
import { MAX_ENTRY_SEARCH_KEYS } from '../core/limits.ts';

/** Bytes of a search key (search-keys.ts). */
const KEY_BYTES = 32;
const COUNT_BYTES = 2;

/** What a log keeps beside an entry of Rekor v1. It is not in the tree. */
export interface EntryExtra {
  /** Under these the entry is found; the statement that some come from is not in the body. */
  readonly searchKeys: readonly Uint8Array[];
  /** The payload of an in-toto envelope, as it is handed out with the entry. */
  readonly attestation: Uint8Array | undefined;
}

/** The number of keys in two bytes, the keys, and the rest is the attestation. */
export function serializeEntryExtra({ searchKeys, attestation = new Uint8Array() }: EntryExtra): Uint8Array {
  // More keys than that are a statement's own, thousands of subjects: the first ones will do to find it.
  const kept = searchKeys.slice(0, MAX_ENTRY_SEARCH_KEYS);
  return concat(Uint8Array.of(kept.length >> 8, kept.length & 0xff), ...kept, attestation);
}

/** The inverse, of what a store of this log gave back. An empty attestation is none. */
export function parseEntryExtra(extra: Uint8Array | undefined): EntryExtra {
  if (extra === undefined || extra.length === 0) return { searchKeys: [], attestation: undefined };
  const count = ((extra[0] as number) << 8) | (extra[1] as number);
  const end = COUNT_BYTES + count * KEY_BYTES;
  if (extra.length < end) throw new Error('internal: an entry lacks some of its search keys');
  const searchKeys = Array.from({ length: count }, (_, i) =>
    extra.subarray(COUNT_BYTES + i * KEY_BYTES, COUNT_BYTES + (i + 1) * KEY_BYTES),
  );
  return { searchKeys, attestation: extra.length > end ? extra.subarray(end) : undefined };
}
