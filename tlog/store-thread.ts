/**
 * The thread that writes the log's database: calls come in one by one, each is answered when it is done. Imported by the
 * thread itself and by nobody else (sqlite-store.ts starts it).
 */
import { parentPort, workerData } from 'node:worker_threads';
import { type ErrorCode, HallmarkError } from '../core/errors.ts';
import { type PackedCommit, unpackCommit } from './packed-commit.ts';
import { connect, guard } from './sqlite-database.ts';
import { createSqliteWriter, type SqliteWriter } from './sqlite-writer.ts';

/** What the thread is started with. */
export interface StoreThreadData {
  /** Tells this kind of thread from others of the same program. */
  readonly role: 'log-store';
  readonly path: string;
}

export type StoreCall =
  | { readonly method: 'commit'; readonly commit: PackedCommit }
  | { readonly method: 'once'; readonly name: string; readonly value: string }
  | { readonly method: 'checkpoint' | 'close' };

export type StoreAnswer =
  | { readonly value: string | undefined }
  | { readonly failure: { code: ErrorCode | undefined; message: string; hint: string | undefined } };

const { path } = workerData as StoreThreadData;
let writer: SqliteWriter | undefined;

parentPort?.on('message', (call: StoreCall) => parentPort?.postMessage(answer(call)));

function answer(call: StoreCall): StoreAnswer {
  try {
    return { value: run(call) };
  } catch (error) {
    if (!(error instanceof HallmarkError)) {
      return { failure: { code: undefined, message: String(error), hint: undefined } };
    }
    const { code, message, hint } = error;
    return { failure: { code, message, hint } };
  }
}

function run(call: StoreCall): string | undefined {
  if (call.method === 'close') {
    writer?.close();
    writer = undefined;
    return undefined;
  }
  writer ??= createSqliteWriter(
    guard(path, () => connect(path)),
    path,
  );
  switch (call.method) {
    case 'commit':
      writer.commit(unpackCommit(call.commit));
      return undefined;
    case 'once':
      return writer.once(call.name, call.value);
    case 'checkpoint':
      writer.checkpoint();
      return undefined;
  }
}
