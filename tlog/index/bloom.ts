import type { Fingerprint } from './rows.ts';

/** Bits for each key: with HASHES about one key in 150 that is absent is taken for present. */
const BITS_PER_KEY = 12;
const HASHES = 6;
/** One cache line: all bits of a key lie in one block. */
const BLOCK_BITS = 512;
const BLOCK_WORDS = BLOCK_BITS / 32;

/** A set of fingerprints that may take an absent one for present, never a present one for absent. */
export class BloomFilter {
  readonly words: Uint32Array;

  /** The filter in these words, as `words` gave them; a whole number of blocks. */
  constructor(words: Uint32Array) {
    if (words.length === 0 || words.length % BLOCK_WORDS !== 0) throw new Error('internal: a filter of odd size');
    this.words = words;
  }

  static forKeys(count: number): BloomFilter {
    const blocks = Math.max(1, Math.ceil((count * BITS_PER_KEY) / BLOCK_BITS));
    return new BloomFilter(new Uint32Array(blocks * BLOCK_WORDS));
  }

  add({ high, low }: Fingerprint): void {
    const block = this.#block(high);
    for (let i = 0; i < HASHES; i++) {
      const bit = bitOf(low, i);
      const at = block + (bit >>> 5);
      this.words[at] = (this.words[at] as number) | (1 << (bit & 31));
    }
  }

  mayHave({ high, low }: Fingerprint): boolean {
    const block = this.#block(high);
    for (let i = 0; i < HASHES; i++) {
      const bit = bitOf(low, i);
      if (((this.words[block + (bit >>> 5)] as number) & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }

  // The high half says which block, so that sorted keys fill one after the other; the low half says which bits.
  #block(high: number): number {
    return Math.floor((high / 2 ** 32) * (this.words.length / BLOCK_WORDS)) * BLOCK_WORDS;
  }
}

const bitOf = (low: number, i: number): number =>
  ((low & 511) + i * (((low >>> 9) & 511) | 1) + (low >>> 18) * i * i) & 511;
