import { HallmarkError } from './errors.ts';

// Test only.

/** The error that `run` throws; a test fails if there is none, or if it has no code. */
export function errorOf(run: () => unknown): HallmarkError {
  try {
    run();
  } catch (error) {
    if (error instanceof HallmarkError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** The same of a promise. */
export async function rejectionOf(promise: Promise<unknown>): Promise<HallmarkError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof HallmarkError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
