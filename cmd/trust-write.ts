import { randomUUID } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { StorageError, UsageError } from '../core/errors.ts';
import { withLock } from '../core/file-lock.ts';
import { makeFolder, writeFileAtomic } from '../core/files.ts';
import type { TufStore } from '../core/trust/tuf/client.ts';
import { mirrorAt } from '../core/trust/tuf/mirror.ts';
import type { Cli } from './cli.ts';
import { httpOf } from './http.ts';
import { type Contents, fetchContents, fingerprintOf, type Material, type Origin, TARGETS } from './trust-fetch.ts';
import {
  findInstance,
  type Instance,
  META,
  readIfThere,
  requireStore,
  SOURCE,
  serializeMeta,
} from './trust-instances.ts';

/** How long a command waits for another one that changes the store. */
const LOCK_WAIT_MS = 1_000;

/** Runs `task` with the folder of the store while no other command changes it. */
export function withStore<T>(cli: Cli, task: (store: string) => T | Promise<T>): Promise<T> {
  const store = requireStore(cli);
  return withLock(join(store, '.lock'), () => task(store), LOCK_WAIT_MS);
}

/** Stores new material under a name that is free; all or nothing. FILE_EXISTS if the name is taken. */
export async function storeInstance(cli: Cli, name: string, material: Material): Promise<void> {
  await withStore(cli, async (store) => {
    if (findInstance(cli, name) !== undefined) {
      throw new StorageError('FILE_EXISTS', `trust named ${name} is there already`, {
        hint: `hallmark trust update ${name}\nhallmark trust remove ${name}\nor choose another name with --name`,
      });
    }
    await replaceFolder(store, name, async (folder) => {
      const origin = originFor(cli, folder);
      writeContents(folder, await fetchContents(material, fingerprintOf(material), origin));
    });
  });
}

// The network, with the metadata in the folder of an instance.
const originFor = (cli: Cli, folder: string): Origin => ({
  store: storeOnDisk(folder),
  mirror: (url) => mirrorAt(httpOf(cli), url),
  now: cli.now(),
});

/** Fetches what is new of an instance that came from a TUF repository; what is stored stays if anything is wrong. */
export async function updateInstance(cli: Cli, { name, meta, read }: Instance): Promise<void> {
  const { url } = meta;
  const root = read('tuf/root.json');
  if (url === undefined || root === undefined) {
    throw new UsageError(`${name} was added from a file and has nowhere to be updated from`, {
      hint: `hallmark trust remove ${name}\nhallmark trust add FILE --name ${name}`,
    });
  }
  await withStore(cli, async (store) => {
    const folder = join(store, name);
    // Metadata is stored as soon as it is trusted, so that nothing that was seen can be taken back by the next update.
    const origin = originFor(cli, folder);
    writeContents(folder, await fetchContents({ kind: 'tuf', url, root }, meta.fingerprint, origin));
  });
}

/** Removes what is stored under a name. */
export async function removeInstance(cli: Cli, name: string): Promise<void> {
  await withStore(cli, (store) => {
    // Moved away first, so that there is no moment with half an instance.
    const temporary = join(store, `.${name}.${randomUUID()}`);
    renameSync(join(store, name), temporary);
    rmSync(temporary, { recursive: true, force: true });
  });
}

/** Makes the folder of an instance anew: `fill` gets a temporary one, which takes its place once it is complete. */
export async function replaceFolder(
  store: string,
  name: string,
  fill: (folder: string) => void | Promise<void>,
): Promise<void> {
  const temporary = join(store, `.${name}.${randomUUID()}`);
  try {
    makeFolder(temporary, 0o755);
    await fill(temporary);
    rmSync(join(store, name), { recursive: true, force: true });
    renameSync(temporary, join(store, name));
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Writes what an instance consists of. meta.json comes last: a folder without it does not count. */
export function writeContents(folder: string, { meta, files }: Contents): void {
  makeFolder(folder, 0o755);
  for (const name of [...TARGETS, SOURCE]) {
    const bytes = files.get(name);
    if (bytes === undefined) rmSync(join(folder, name), { force: true });
    else writeFileAtomic(join(folder, name), bytes, 0o644);
  }
  writeFileAtomic(join(folder, META), serializeMeta(meta), 0o644);
}

/** The TUF metadata in the folder of an instance. */
export function storeOnDisk(folder: string): TufStore {
  return {
    read: (name) => readIfThere(join(folder, 'tuf', name)),
    write: (name, bytes) => {
      makeFolder(join(folder, 'tuf'), 0o755);
      writeFileAtomic(join(folder, 'tuf', name), bytes, 0o644);
    },
  };
}
