import { concat } from '../core/bytes/bytes.ts';
import { MAX_ENTRY_SEARCH_KEYS } from '../core/limits.ts';

/** Bytes of a search key (search-keys.ts). */
const KEY_BYTES = 32;
const COUNT_BYTES = 2;

/** What a log of Rekor keeps beside an entry. It is not in the tree. */
export interface EntryExtra {
  /** Of those under which the entry is found the ones that its body does not tell: its statement is not in it. */
  readonly searchKeys: readonly Uint8Array[];
  /** The payload of an in-toto envelope, as it is handed out with the entry. */
  readonly attestation: Uint8Array | undefined;
}

/** The number of keys in two bytes, the keys, and the rest is the attestation; undefined if there is nothing to keep. */
export function serializeEntryExtra({ searchKeys, attestation }: EntryExtra): Uint8Array | undefined {
  if (searchKeys.length === 0 && attestation === undefined) return undefined;
  // More keys than that are a statement's own, thousands of subjects: the first ones will do to find it.
  const kept = searchKeys.slice(0, MAX_ENTRY_SEARCH_KEYS);
  return concat(Uint8Array.of(kept.length >> 8, kept.length & 0xff), ...kept, attestation ?? new Uint8Array());
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
