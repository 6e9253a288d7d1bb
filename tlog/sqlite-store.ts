import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ERRORS, StorageError } from '../core/errors.ts';
import { type PackedCommit, packCommit } from './packed-commit.ts';
import { guard, listTrees, openDatabase } from './sqlite-database.ts';
import { requireAcknowledged } from './sqlite-heads.ts';
import { createSqliteReader } from './sqlite-reader.ts';
import type { Store } from './store.ts';
import type { StoreAnswer, StoreCall, StoreThreadData } from './store-thread.ts';

const FILE_NAME = 'log.db';
/** Bytes that are committed before the write-ahead log is copied into the database. */
const CHECKPOINT_AFTER_BYTES = 16 * 1024 * 1024;
/** What a commit writes beside its own bytes: the last page of each B-tree that it appends to. */
const COMMIT_OVERHEAD_BYTES = 16 * 1024;

/**
 * The store in one SQLite database `log.db` (WAL, synchronous=FULL: a commit returns after fdatasync) in `directory`, which
 * must exist. Commits run on a thread of their own, one after the other, and reads on the thread that asks, over another
 * connection. The trees of `established` have to be there already: a store that lost one is refused and left as it is, and so
 * is one that lost what it acknowledged (sqlite-heads.ts).
 *
 * The write-ahead log is copied into the database by a third connection on a second thread, while commits go on. What they
 * added meanwhile the first thread copies between two commits; it is little, and SQLite begins the write-ahead log anew only
 * when all of it is copied.
 *
 * Errors: DATABASE_CORRUPT, LOG_FORKED, FILE_UNWRITABLE, LOCK_HELD.
 */
export function openSqliteStore(directory: string, established: readonly string[] = []): Store {
  const path = join(directory, FILE_NAME);
  guard(path, () => requireAcknowledged(path));
  const database = openDatabase(path, established);
  const writer = createStoreThread(path);
  const copier = createStoreThread(path);
  let uncopied = 0;
  let copying: Promise<void> | undefined;

  async function commit(packed: PackedCommit): Promise<void> {
    uncopied += packed.bytes.length + COMMIT_OVERHEAD_BYTES;
    await writer.call({ method: 'commit', commit: packed }, [packed.bytes.buffer]);
    if (uncopied < CHECKPOINT_AFTER_BYTES || copying) return;
    uncopied = 0;
    copying = copy().finally(() => {
      copying = undefined;
    });
  }

  // A failure is no news: the disk's next one reaches a commit.
  async function copy(): Promise<void> {
    for (const thread of [copier, writer]) await thread.call({ method: 'checkpoint' }).catch(() => {});
  }

  return {
    ...createSqliteReader(database, path),
    commit: (changes) => commit(packCommit(changes)),
    async once(name, value) {
      const stored = await writer.call({ method: 'once', name, value });
      if (stored === undefined) throw new Error('internal: a setting without a value');
      return stored;
    },
    async close() {
      await copying;
      await copier.close();
      await writer.close();
      database.close();
    },
  };
}

interface StoreThread {
  call(call: StoreCall, transfer?: ArrayBuffer[]): Promise<string | undefined>;
  /** Waits for the calls made before. */
  close(): Promise<void>;
}

/** A thread that is started when it is first needed, and once more if it died. */
function createStoreThread(path: string): StoreThread {
  let worker: Worker | undefined;
  // The calls under way, in the order in which they are answered.
  let waiting: PromiseWithResolvers<string | undefined>[] = [];

  function start(): Worker {
    const started = new Worker(threadProgram(), { workerData: { role: 'log-store', path } satisfies StoreThreadData });
    started.on('message', (answer: StoreAnswer) => {
      const call = waiting.shift();
      // In a turn of its own: until this one ends, with all that hangs on the answer, no other message is delivered.
      setImmediate(() => {
        if ('failure' in answer) call?.reject(failureOf(answer.failure));
        else call?.resolve(answer.value);
      });
    });
    const died = (cause: unknown): void => {
      if (worker !== started) return;
      worker = undefined;
      const lost = waiting;
      waiting = [];
      for (const call of lost) call.reject(threadLost(path, cause));
    };
    started.on('error', died);
    started.on('exit', died);
    return started;
  }

  function call(message: StoreCall, transfer: ArrayBuffer[] = []): Promise<string | undefined> {
    worker ??= start();
    const answer = Promise.withResolvers<string | undefined>();
    waiting.push(answer);
    worker.postMessage(message, transfer);
    return answer.promise;
  }

  return {
    call,
    async close() {
      if (!worker) return;
      await call({ method: 'close' });
      const ended = worker;
      worker = undefined;
      await ended.terminate();
    },
  };
}

/** The compiled program has no other file that a thread could be started from than itself: see the end of cmd/main.ts. */
const threadProgram = (): string | URL =>
  Bun.main.startsWith('/$bunfs/') ? Bun.main : new URL('./store-thread.ts', import.meta.url);

function failureOf({ code, message, hint }: Extract<StoreAnswer, { failure: unknown }>['failure']): Error {
  if (code === undefined || ERRORS[code] !== 'storage') return new Error(message);
  return new StorageError(
    code as ConstructorParameters<typeof StorageError>[0],
    message,
    hint === undefined ? {} : { hint },
  );
}

function threadLost(path: string, cause: unknown): StorageError {
  return new StorageError('FILE_UNWRITABLE', `the thread that writes the log database ${path} ended`, {
    hint: 'check the memory that is left for the server; what it did not answer may have been logged',
    cause,
  });
}

/**
 * Writes what the store in `directory` holds at one moment into a file, which may be empty. The store may be open elsewhere and
 * being written; its commits go on. Errors: DATABASE_CORRUPT,
 * LOG_FORKED, FILE_UNWRITABLE.
 */
export function copySqliteStore(directory: string, file: string): void {
  const path = join(directory, FILE_NAME);
  guard(path, () => requireAcknowledged(path));
  const database = openDatabase(path, [], 'existing');
  try {
    guard(file, () => void database.query('VACUUM INTO ?').run(file));
  } finally {
    database.close();
  }
}

/** The reading half of a store, and the names of its trees. It may be open elsewhere, and being written. */
export interface SqliteReadStore extends Omit<Store, 'once' | 'commit' | 'close'> {
  readonly trees: readonly string[];
  close(): void;
}

/** Opens the store in `directory`, or in a file that is a copy of one, for reading. DATABASE_CORRUPT, also if there is none. */
export function openSqliteReadStore(directory: string, file = FILE_NAME): SqliteReadStore {
  const path = join(directory, file);
  const database = openDatabase(path, [], 'existing');
  return {
    ...createSqliteReader(database, path),
    trees: guard(path, () => listTrees(database)),
    close: () => database.close(),
  };
}
