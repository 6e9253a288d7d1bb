import { STRETCH_MS } from '../../core/limits.ts';

/** Keeps long work from holding the event loop: once `isDue`, await `next`. */
export function createTurn() {
  let since = performance.now();
  return {
    isDue: (): boolean => performance.now() - since >= STRETCH_MS,
    async next(): Promise<void> {
      await new Promise((resolve) => setImmediate(resolve));
      since = performance.now();
    },
  };
}
