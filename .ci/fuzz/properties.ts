import { HallmarkError } from '../../core/errors.ts';

/** Something that must never happen, whatever the input. */
export class Fault extends Error {}

/** The value, or undefined where an error of ours refuses; every other error is a fault. */
export function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof HallmarkError) return undefined;
    throw error;
  }
}

/** What was read, written and read again is the same. */
export function requireSame(what: string, again: unknown, first: unknown): void {
  if (!Bun.deepEquals(again, first)) throw new Fault(`${what} is another after it was written and read again`);
}
