import { serializeHex } from '../core/bytes/bytes.ts';
import { parseEntryExtra } from './entry-extra.ts';
import type { LogReader } from './log-reader.ts';

/** Entries that are read from the log at once. */
const READ_ENTRIES = 256n;

/** Which entries of a log are found under a search key. Built from the log alone. */
export interface SearchIndex {
  /** All indexes under a key, ascending, at most `limit`. Errors: those of the log. */
  search(key: Uint8Array, limit: number): Promise<bigint[]>;
}

/** An index in memory over the search keys in each entry's `extra`; a search first takes in what is new. */
export function createSearchIndex(log: LogReader): SearchIndex {
  const found = new Map<string, bigint[]>();
  let taken = 0n;
  let taking: Promise<void> = Promise.resolve();

  async function takeIn(): Promise<void> {
    for (;;) {
      const entries = await log.entries(taken, taken + READ_ENTRIES);
      if (entries.length === 0) return;
      for (const { extra } of entries) {
        const keys = new Set(parseEntryExtra(extra).searchKeys.map(serializeHex));
        for (const key of keys) found.set(key, [...(found.get(key) ?? []), taken]);
        taken++;
      }
    }
  }

  return {
    async search(key, limit) {
      // One after the other, as each goes on where the last one ended, even if that failed.
      taking = taking.catch(() => {}).then(takeIn);
      await taking;
      return (found.get(serializeHex(key)) ?? []).slice(0, limit);
    },
  };
}
