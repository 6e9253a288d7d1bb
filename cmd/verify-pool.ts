import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { ManyFlags, Outcome } from './verify-many.ts';

/** What a worker is started with. */
export interface WorkerData {
  readonly flags: ManyFlags;
  readonly example: string;
}

/** Artifacts sent to a worker at once: a message costs as much as a tenth of a verification. */
const BATCH = 16;
/** Each worker loads and warms up the verifier for itself, which takes as long as half of these verifications. */
const PAYS_FROM = 256;

/** How many workers verify so many artifacts sooner than this thread alone. */
export const jobsThatPay = (references: readonly string[]): number =>
  Math.min(availableParallelism(), Math.floor(references.length / PAYS_FROM));

/**
 * What the flags name that can be read only once, as a pipe; undefined if nothing. Each worker reads policy and trust for
 * itself, so with such a flag this thread verifies alone.
 */
export function readableOnce(flags: ManyFlags): string | undefined {
  const { policy, lock, key, registryKeys, signingConfig, trustConfig, trustedRoot = [] } = flags;
  return [policy, lock, key, registryKeys, signingConfig, trustConfig, ...trustedRoot].find(isOddFile);
}

function isOddFile(path: string | undefined): boolean {
  try {
    return path !== undefined && statSync(path, { throwIfNoEntry: false })?.isFile() === false;
  } catch {
    // What is wrong with it is told by who reads it.
    return false;
  }
}

/** The verdicts of `jobs` workers, in the order of `references`. Throws if a worker fails, and then no verdict follows. */
export async function* outcomesOfWorkers(
  references: readonly string[],
  flags: ManyFlags,
  jobs: number,
): AsyncGenerator<Outcome> {
  const workers: Worker[] = [];
  const batches = Array.from({ length: Math.ceil(references.length / BATCH) }, (_, i) => ({
    references: references.slice(i * BATCH, (i + 1) * BATCH),
    answer: Promise.withResolvers<readonly Outcome[]>(),
  }));
  // Whoever fails, the one who waits hears of it; the answers that nobody waits for any more are let go.
  const fail = (error: unknown): void => {
    for (const { answer } of batches) {
      answer.promise.catch(() => {});
      answer.reject(error);
    }
  };
  let next = 0;
  try {
    for (let i = 0; i < Math.min(jobs, batches.length); i++) {
      // The program itself is what a worker runs: see the end of main.ts.
      const worker = new Worker(Bun.main, { workerData: { flags, example: references[0] ?? '' } satisfies WorkerData });
      workers.push(worker);
      let current: (typeof batches)[number] | undefined;
      const take = (): void => {
        current = batches[next++];
        if (current !== undefined) worker.postMessage(current.references);
      };
      worker.on('message', (outcomes: readonly Outcome[]) => {
        current?.answer.resolve(outcomes);
        take();
      });
      worker.on('error', fail);
      worker.on('exit', () => fail(new Error('internal: a worker ended before its work')));
      take();
    }
    for (const { answer } of batches) yield* await answer.promise;
  } finally {
    for (const worker of workers) void worker.terminate();
  }
}
