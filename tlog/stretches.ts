import { drainMicrotasks } from 'bun:jsc';
import { STRETCH_MS } from '../core/limits.ts';

/**
 * Runs pieces of work, each up to its first wait, in the order in which they came: at once while the event loop has not been
 * held for STRETCH_MS, else in one of its next turns. A piece that takes longer itself is not broken up.
 */
export function createStretches(now: () => number) {
  const waiting: (() => void)[] = [];
  let since: number | undefined;

  // The next turn begins: what waits goes first.
  function turn(): void {
    since = now();
    let done = 0;
    while (done < waiting.length && (done === 0 || now() - since < STRETCH_MS)) {
      (waiting[done++] as () => void)();
      // What goes on without a wait, as a promise that is fulfilled already, belongs to the piece and counts.
      drainMicrotasks();
    }
    waiting.splice(0, done);
    if (done > 0) setImmediate(turn);
    else since = undefined;
  }

  return <T>(work: () => Promise<T>): Promise<T> => {
    if (since === undefined) {
      since = now();
      setImmediate(turn);
    }
    if (waiting.length === 0 && now() - since < STRETCH_MS) return Promise.try(work);
    const { promise, resolve } = Promise.withResolvers<T>();
    // A throw in here would be nobody's, and end the process.
    waiting.push(() => resolve(Promise.try(work)));
    return promise;
  };
}
