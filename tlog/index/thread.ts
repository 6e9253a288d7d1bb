import { Worker } from 'node:worker_threads';
import { type IndexAnswer, type IndexCall, runTask, type TaskName, type Tasks } from './tasks.ts';

/** What the thread is started with: tells this kind of thread from others of the same program. */
export interface IndexThreadData {
  readonly role: 'log-index';
}

/** A thread beside the one that answers requests. */
export interface IndexThread {
  /** Has the thread do a task. Rejects with an Error that says what failed there, or that the thread ended. */
  run<N extends TaskName>(
    task: N,
    args: Parameters<Tasks[N]>,
    transfer?: ArrayBuffer[],
  ): Promise<Awaited<ReturnType<Tasks[N]>>>;
  /** Counts the threads that were started: what a task left in memory is gone once it grows. */
  readonly starts: number;
  /** Waits for the tasks that were asked for. */
  close(): Promise<void>;
}

/** A thread that is started when it is first needed, and once more if it died. */
export function createIndexThread(): IndexThread {
  let worker: Worker | undefined;
  let starts = 0;
  let nextId = 0;
  let waiting = new Map<number, PromiseWithResolvers<unknown>>();

  function start(): Worker {
    const started = new Worker(threadProgram(), { workerData: { role: 'log-index' } satisfies IndexThreadData });
    starts++;
    started.on('message', (answer: IndexAnswer) => {
      const call = waiting.get(answer.id);
      waiting.delete(answer.id);
      if ('failure' in answer) call?.reject(new Error(answer.failure));
      else call?.resolve(answer.value);
    });
    const died = (cause: unknown): void => {
      if (worker !== started) return;
      worker = undefined;
      const lost = waiting;
      waiting = new Map();
      for (const call of lost.values()) call.reject(new Error('the thread of the indexes ended', { cause }));
    };
    started.on('error', died);
    started.on('exit', died);
    return started;
  }

  return {
    get starts() {
      return starts;
    },
    run(task, args, transfer = []) {
      worker ??= start();
      const id = nextId++;
      const answer = Promise.withResolvers<unknown>();
      waiting.set(id, answer);
      worker.postMessage({ id, task, args } satisfies IndexCall, transfer);
      return answer.promise as never;
    },
    async close() {
      await Promise.allSettled([...waiting.values()].map(({ promise }) => promise));
      const ended = worker;
      worker = undefined;
      await ended?.terminate();
    },
  };
}

/** Does the tasks on this thread, where there is little to do: for a log that is in memory alone. */
export function createLocalThread(): IndexThread {
  return { starts: 1, run: (task, args) => runTask(task, args) as never, close: async () => {} };
}

/** The compiled program has no other file that a thread could be started from than itself: see the end of cmd/main.ts. */
const threadProgram = (): string | URL =>
  Bun.main.startsWith('/$bunfs/') ? Bun.main : new URL('./index-thread.ts', import.meta.url);
