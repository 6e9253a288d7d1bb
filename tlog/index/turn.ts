/** Work at a stretch, after which the event loop has its turn. */
const STRETCH_MS = 4;

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
