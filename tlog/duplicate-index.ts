import { serializeHex } from '../core/bytes/bytes.ts';
import { IDENTITY_BYTES } from './store.ts';

/**
 * An exact index of the durable entries of one tree by a hash of IDENTITY_BYTES: by leaf hash, or by the identity that
 * tells duplicates. It is no part of the commit: whatever of it is lost in a crash is read again from the log.
 */
export interface DuplicateIndex {
  /**
   * Takes in the entries up to `size` from the log. Called before the first use, and after the log was found longer than
   * expected. Errors: those of the store.
   */
  catchUp(size: bigint): Promise<void>;
  /** Takes in the entries first, first+1 ... that were just committed. `first` is the number of entries taken in so far. */
  add(first: bigint, hashes: readonly Uint8Array[]): void;
  /** For each hash the lowest index of an entry with it. */
  find(hashes: readonly Uint8Array[]): Promise<(bigint | undefined)[]>;
  close(): Promise<void>;
}

/** Reads the hashes of durable entries start .. end-1 of the log, end to end. */
export type ReadHashes = (start: bigint, end: bigint) => Promise<Uint8Array>;

/** Hashes that are read from the log at once: 256 full tiles. */
const READ_HASHES = 65_536n;

/** The index in memory alone. */
export function createDuplicateIndex(read: ReadHashes): DuplicateIndex {
  const indexes = new Map<string, bigint>();
  let taken = 0n;
  const take = (hash: Uint8Array): void => {
    const key = serializeHex(hash);
    if (!indexes.has(key)) indexes.set(key, taken);
    taken++;
  };
  return {
    async catchUp(size) {
      while (taken < size) {
        const end = taken + READ_HASHES < size ? taken + READ_HASHES : size;
        const hashes = await read(taken, end);
        if (hashes.length !== Number(end - taken) * IDENTITY_BYTES) throw new Error('internal: hashes are missing');
        for (let at = 0; at < hashes.length; at += IDENTITY_BYTES) take(hashes.subarray(at, at + IDENTITY_BYTES));
      }
    },
    add(first, hashes) {
      if (first !== taken) throw new Error('internal: entries are indexed out of order');
      for (const hash of hashes) take(hash);
    },
    find: async (hashes) => hashes.map((hash) => indexes.get(serializeHex(hash))),
    close: async () => {},
  };
}
