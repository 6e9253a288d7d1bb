/**
 * The thread that does for the indexes what takes long. Imported by the thread itself and by nobody else (thread.ts starts
 * it). A call is the name of a task and its arguments; it is answered when the task is done.
 */
import { parentPort } from 'node:worker_threads';
import { type IndexAnswer, type IndexCall, runTask } from './tasks.ts';

parentPort?.on('message', ({ id, task, args }: IndexCall) => {
  runTask(task, args).then(
    (value) => parentPort?.postMessage({ id, value } satisfies IndexAnswer),
    (error) => parentPort?.postMessage({ id, failure: String(error) } satisfies IndexAnswer),
  );
});
