import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Command } from 'commander';
import { StorageError } from '../core/errors.ts';
import { createFileAtomic, makeFolder, writeFileAtomic } from '../core/files.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { dataOption, requireLogDirectory } from './data-directory.ts';
import { startProgress } from './progress.ts';
import { printable } from './report.ts';

interface Flags {
  readonly data?: string;
  readonly output: OutputFormat;
}

/**
 * What is not part of a backup: the database, of which a copy of one moment is made, locks and caches; and what was published
 * last with witnesses, for it is newer than that copy.
 */
const LEFT_OUT = /^(?:log\.db.*|lock|index|published-.*\.note|\..*\.tmp)$/;

export function logBackupCommand(cli: Cli): Command {
  return new Command('backup')
    .description(
      'write all logs of a data directory, as they are at one moment, into a file, or everything into a folder',
    )
    .argument(
      '<file|dir/>',
      'a new file for the logs; a new or empty folder, with a final slash, for the keys and all else too',
    )
    .addOption(dataOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
The server may run meanwhile. A file holds the logs alone: the keys are not in it, and who has it cannot sign. A folder is a
whole data directory with its private keys, to be kept like them.

A log must never go back: what was answered after a backup is missing in it. Keep the newest checkpoint somewhere else, too
(hallmark log info, a monitor, a witness): hallmark log restore asks for it.

Examples:
  hallmark log backup log-2026-03-01.db --data /var/lib/hallmark
  hallmark log backup /backup/hallmark-2026-03-01/ --data /var/lib/hallmark

Exit codes: 0 written, 3 there is no log, 6 it could not be written, or something is there already.
`,
    )
    .action((target: string, flags: Flags) => backup(cli, target, flags));
}

async function backup(cli: Cli, target: string, flags: Flags): Promise<void> {
  const directory = requireLogDirectory(cli, flags.data);
  const whole = target.endsWith('/') || (existsSync(target) && statSync(target).isDirectory());
  const file = whole ? join(target, 'log.db') : target;
  const { copySqliteStore, openSqliteReadStore } = await import('../tlog/sqlite-store.ts');
  const progress = await startProgress(cli);
  progress.show(`copying the logs of ${directory}`);
  try {
    if (whole) requireEmptyFolder(target);
    const before = whole ? readIfThere(join(directory, 'instance.json')) : undefined;
    createFileAtomic(file, (temporary) => copySqliteStore(directory, temporary));
    if (whole) {
      copyFolder(directory, target, LEFT_OUT);
      // A new shard is a key, a tree and a record of it: either all of them are in the backup or none.
      if (before !== readIfThere(join(target, 'instance.json'))) {
        throw new StorageError('LOG_HEAD_MOVED', `the logs of ${directory} were rotated meanwhile`, {
          hint: `remove ${target} and make the backup again`,
        });
      }
    }
  } finally {
    progress.end();
  }
  const store = openSqliteReadStore(dirname(file), basename(file));
  const trees = await Promise.all(
    store.trees.map(async (tree) => {
      const head = await store.head(tree);
      return { tree, treeSize: `${head?.treeSize ?? 0n}`, checkpoint: head?.checkpoint ?? null };
    }),
  );
  store.close();
  const sizes = trees.map(({ tree, treeSize }) => `${tree}: ${treeSize} entries\n`).join('');
  emit(cli, flags.output, { ok: true, file, trees }, `${sizes}written to ${printable(file)}\n`);
}

function requireEmptyFolder(target: string): void {
  makeFolder(target, 0o700);
  if (readdirSync(target).length > 0) {
    throw new StorageError('FILE_EXISTS', `${target} is not empty`, { hint: 'name a new or empty folder' });
  }
}

const readIfThere = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8') : undefined);

/** Copies files, each durable, with the modes of private ones; folders too. */
export function copyFolder(from: string, to: string, leftOut: RegExp): void {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (leftOut.test(entry.name)) continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) {
      mkdirSync(target, { mode: 0o700 });
      copyFolder(source, target, leftOut);
    } else if (entry.isFile()) writeFileAtomic(target, new Uint8Array(readFileSync(source)), 0o600, 'refuse');
  }
}
