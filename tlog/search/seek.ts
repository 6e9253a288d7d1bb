/** The entries of a segment that have something, by place, from the newest to the oldest. */
export interface Seeker {
  /** The highest place that is not above `max`; -1 if there is none. */
  seek(max: number): number;
}

/** Those in a list that ascends. */
export function seekPlaces(places: ArrayLike<number>): Seeker {
  return {
    seek(max) {
      let low = 0;
      let high = places.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((places[middle] as number) <= max) low = middle + 1;
        else high = middle;
      }
      return low === 0 ? -1 : (places[low - 1] as number);
    },
  };
}

/** Those whose bit is set. */
export function seekBits(bits: Uint32Array): Seeker {
  return {
    seek(max) {
      let word = max >>> 5;
      let rest = word < bits.length ? (bits[word] as number) & (0xffff_ffff >>> (31 - (max & 31))) : 0;
      if (word >= bits.length) word = bits.length;
      while (rest === 0) {
        if (--word < 0) return -1;
        rest = bits[word] as number;
      }
      return word * 32 + 31 - Math.clz32(rest);
    },
  };
}

/** Those that one of several has. */
export function seekAny(seekers: readonly Seeker[]): Seeker {
  const [only] = seekers;
  if (only && seekers.length === 1) return only;
  return { seek: (max) => seekers.reduce((highest, seeker) => Math.max(highest, seeker.seek(max)), -1) };
}

/** How many seeks may still be made. */
export interface Budget {
  seeks: number;
}

/**
 * Calls `found` with each place up to `max` that all seekers have, from the highest, until it answers false. Answers the
 * place up to which was looked when it ended early, by `found` or for want of budget; -1 if the segment is exhausted.
 */
export function intersect(
  seekers: readonly Seeker[],
  max: number,
  budget: Budget,
  found: (place: number) => boolean,
): number {
  let at = max;
  let agreed = 0;
  for (let turn = 0; at >= 0; turn++) {
    if (budget.seeks-- <= 0) return at;
    const seeker = seekers[turn % seekers.length] as Seeker;
    const place = seeker.seek(at);
    if (place < 0) return -1;
    agreed = place === at ? agreed + 1 : 1;
    at = place;
    if (agreed === seekers.length) {
      at = place - 1;
      agreed = 0;
      if (!found(place)) return at;
    }
  }
  return -1;
}
