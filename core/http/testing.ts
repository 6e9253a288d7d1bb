import type { FetchLike, Http } from './client.ts';

export const FAKE_NOW = new Date('2026-11-20T12:00:00Z');

type FakeHttp = Http & { readonly slept: number[] };

/** Test only: a clock that stands still, sleeps that are recorded and not slept, the highest jitter. */
export function fakeHttp(fetch: FetchLike, now = FAKE_NOW): FakeHttp {
  const slept: number[] = [];
  return {
    fetch,
    clock: () => now,
    random: (n) => new Uint8Array(n).fill(0xff),
    sleep: async (ms) => void slept.push(ms),
    slept,
  };
}
