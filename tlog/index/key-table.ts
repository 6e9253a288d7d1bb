import type { Fingerprint } from './rows.ts';

/** Places that the first of the hash tables has room for. */
const FIRST_TABLE = 4_096;
const KEY_WORDS = 2;

interface Table {
  /** One more than the place, at the position that the key's hash says or after it; 0 where there is none. */
  readonly slots: Uint32Array;
  /** Places that the table is full with. */
  readonly end: number;
}

/**
 * The fingerprints of up to `capacity` entries in the order of their places, found by hash. Open addressing, half full. It
 * grows by a further table as large as all before it, so that no call has to move what is there. `seed` are 64 random bits
 * that nobody else knows: who submits entries can choose their fingerprints, but not make them collide here.
 */
export class KeyTable {
  readonly capacity: number;
  /** Two words for each key, in memory that a thread can be given. */
  readonly keys: Uint32Array<SharedArrayBuffer>;
  #size = 0;
  readonly #tables: Table[] = [];
  readonly #seed: Fingerprint;

  constructor(capacity: number, seed: Fingerprint) {
    this.capacity = capacity;
    this.keys = new Uint32Array(new SharedArrayBuffer(capacity * KEY_WORDS * 4));
    this.#seed = seed;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a key at the next place. */
  add(key: Fingerprint): void {
    if (this.#size >= this.capacity) throw new Error('internal: the table of keys is full');
    const place = this.#size++;
    this.keys[place * KEY_WORDS] = key.high;
    this.keys[place * KEY_WORDS + 1] = key.low;
    const { slots } = this.#tableWithRoom(place);
    const mask = slots.length - 1;
    let at = this.#hash(key) & mask;
    while (slots[at] !== 0) at = (at + 1) & mask;
    slots[at] = place + 1;
  }

  /** The places of a key, ascending. */
  find(key: Fingerprint): number[] {
    const places: number[] = [];
    const hash = this.#hash(key);
    for (const { slots } of this.#tables) {
      const mask = slots.length - 1;
      for (let at = hash & mask; ; at = (at + 1) & mask) {
        const slot = slots[at] as number;
        if (slot === 0) break;
        const word = (slot - 1) * KEY_WORDS;
        if (this.keys[word] === key.high && this.keys[word + 1] === key.low) places.push(slot - 1);
      }
    }
    return places.sort((a, b) => a - b);
  }

  #tableWithRoom(place: number): Table {
    const newest = this.#tables.at(-1);
    if (newest && place < newest.end) return newest;
    const room = Math.max(FIRST_TABLE, place);
    // A power of two, so that twice `room` and more is free of long runs.
    const table = { slots: new Uint32Array(2 ** Math.ceil(Math.log2(room * 2))), end: place + room };
    this.#tables.push(table);
    return table;
  }

  #hash({ high, low }: Fingerprint): number {
    let hash = Math.imul(high ^ this.#seed.high, 0x9e3779b1) ^ Math.imul(low ^ this.#seed.low, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    return hash ^ (hash >>> 13);
  }
}
