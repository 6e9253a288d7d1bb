import { parentPort, workerData } from 'node:worker_threads';
import { processCli } from './cli.ts';
import { outcomeOf } from './verify-many.ts';
import { prepareVerify } from './verify-one.ts';
import type { WorkerData } from './verify-pool.ts';

/** The life of a worker: lists of artifacts come in, their verdicts go out. A failure ends it, which the main thread notices. */
export async function runVerifyWorker(): Promise<void> {
  const { flags, example } = workerData as WorkerData;
  const { verify } = await prepareVerify(processCli(), flags, example);
  parentPort?.on('message', (references: readonly string[]) => {
    parentPort?.postMessage(references.map((reference) => outcomeOf(verify, reference, flags.output)));
  });
}
