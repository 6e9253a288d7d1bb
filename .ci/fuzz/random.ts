/** Random numbers that follow from a seed alone (mulberry32): good enough to choose changes by. */
export interface Random {
  /** An integer of 0 to n - 1. */
  readonly below: (n: number) => number;
  /** True once in n times. */
  readonly oneIn: (n: number) => boolean;
  readonly pick: <T>(list: readonly T[]) => T;
}

/** The numbers of one iteration, so that each can be repeated alone. */
export function randomOf(seed: number, iteration: number): Random {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(iteration + 1, 0x85ebca6b)) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number): number => Math.floor(next() * n);
  return {
    below,
    oneIn: (n) => below(n) === 0,
    pick: (list) => {
      if (list.length === 0) throw new Error('internal: nothing to pick from');
      return list[below(list.length)] as (typeof list)[number];
    },
  };
}
