import { copyFileSync, existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Command } from 'commander';
import { parseUtf8, serializeHex } from '../core/bytes/bytes.ts';
import type { PublicKey } from '../core/crypto/public-key.ts';
import { InputError, parseNamed, StorageError, UsageError } from '../core/errors.ts';
import { acquireLock } from '../core/file-lock.ts';
import { createFileAtomic, makeFolder, readFileBounded } from '../core/files.ts';
import { parseInstance } from '../core/instance/instance.ts';
import { ROTATED_LOGS, type ShardHistories } from '../core/instance/shard-history.ts';
import { MAX_NOTE_BYTES, MAX_TRUST_FILE_BYTES } from '../core/limits.ts';
import { parseCheckpoint } from '../core/merkle/checkpoint.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { dataOption, defaultDataDirectory, readPublicKeys } from './data-directory.ts';
import { copyFolder } from './log-backup.ts';
import { startProgress } from './progress.ts';
import { printable } from './report.ts';

interface Flags {
  readonly data?: string;
  readonly checkpoint?: string[];
  readonly dangerouslyForgetAnswers?: boolean;
  readonly output: OutputFormat;
}

export function logRestoreCommand(cli: Cli): Command {
  return new Command('restore')
    .description('put a backup into a data directory that has lost its logs')
    .argument('<file|dir>', 'what hallmark log backup wrote')
    .addOption(dataOption())
    .option(
      '--checkpoint <file...>',
      'the newest checkpoint that anybody has, one of each log that can have grown; the backup must not be older',
    )
    .option(
      '--dangerously-forget-answers',
      'restore logs without such a checkpoint, though what was answered after the backup would be denied',
    )
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Nothing is overwritten: move what is left of the old log.db away and keep it. The server must not run. Every entry, tile and
signature of the backup is verified before anything is written.

A log that goes on from an older backup than its last answer forks: it gives indexes that it has given before to other
entries, and signs another tree of the same size. Clients, monitors and witnesses that saw the first one take it for a
forgery, and rightly so. If answers may be missing, do not restore: start a new log instead. So a checkpoint is asked for
that is known to be the newest, from a witness, a monitor, or a bundle signed just before: the backup has to hold its tree.

Each log of the backup needs its own, but for shards that another one has followed: they do not grow. A checkpoint is a signed
note: of v1 signedTreeHead at /api/v1/log, of v2 what /checkpoint answers; of ct it is the answer of /ct/v1/get-sth.

Examples:
  hallmark log restore log-2026-03-01.db --data /var/lib/hallmark --checkpoint v1.txt v2.txt ct.json
  hallmark log restore /backup/hallmark-2026-03-01/ --data /var/lib/hallmark --checkpoint v1.txt v2.txt ct.json

Exit codes: 0 restored, 3 unusable input, 6 something is there already, the backup is damaged or too old, 2 no checkpoint.
`,
    )
    .action((source: string, flags: Flags) => restore(cli, source, flags));
}

async function restore(cli: Cli, source: string, flags: Flags): Promise<void> {
  const files = flags.checkpoint ?? [];
  const forget = flags.dangerouslyForgetAnswers === true;
  if (files.length === 0 && !forget) throw unproven('each of its logs');
  const directory = flags.data ?? defaultDataDirectory(cli);
  const found = statSync(source, { throwIfNoEntry: false });
  if (!found) {
    throw new InputError('INPUT_MISSING', `there is no backup ${source}`, {
      hint: 'name the file or folder that hallmark log backup wrote',
    });
  }
  const whole = found.isDirectory();
  const file = whole ? join(source, 'log.db') : source;
  requireNothingThere(directory, whole);
  const keys = readPublicKeys(whole ? source : directory);
  const newest = files.map((path) => ({ path, text: parseUtf8(readFileBounded(path, MAX_NOTE_BYTES, 'checkpoint')) }));
  const histories = readHistories(whole ? source : directory);
  const trees = await verifyBackup(cli, file, { keys, newest, histories, forget });

  makeFolder(directory, 0o700);
  const lock = acquireLock(join(directory, 'lock'));
  try {
    if (whole) copyFolder(source, directory, /^(?:log\.db.*|lock|index)$/);
    // Last: a directory without it is refused by the server, so half a restore is never begun with.
    createFileAtomic(join(directory, 'log.db'), (temporary) => copyFileSync(file, temporary));
  } finally {
    lock.release();
  }
  const sizes = trees.map(({ tree, treeSize }) => `${tree}: ${treeSize} entries\n`).join('');
  emit(cli, flags.output, { ok: true, data: directory, trees }, `${sizes}restored to ${printable(directory)}\n`);
}

function requireNothingThere(directory: string, whole: boolean): void {
  const there = existsSync(directory) ? readdirSync(directory) : [];
  const database = there.find((name) => /^log\.db/.test(name));
  if (database !== undefined) {
    throw new StorageError('FILE_EXISTS', `${join(directory, database)} is there already`, {
      hint: 'a log is never overwritten: if it is damaged, move log.db and the files beside it away and keep them',
    });
  }
  if (whole && there.some((name) => name !== 'lock')) {
    throw new StorageError('FILE_EXISTS', `${directory} is not empty`, {
      hint: 'a whole data directory is restored into a new one',
    });
  }
  if (!whole && !there.includes('instance.json')) {
    throw new InputError(
      'INPUT_MISSING',
      `${directory} has no instance.json: it is not what is left of a data directory`,
      {
        hint: 'a file holds the logs alone; keys and instance.json come from a backup of the whole folder',
      },
    );
  }
}

const unproven = (trees: string): UsageError =>
  new UsageError(
    `a backup that is older than the last answer of a log would fork it: no checkpoint of ${trees} was given`,
    {
      hint: 'name the newest known one of each with --checkpoint FILE...; hallmark log restore --help says where they are read',
    },
  );

function readHistories(directory: string): ShardHistories {
  const path = join(directory, 'instance.json');
  const text = parseUtf8(readFileBounded(path, MAX_TRUST_FILE_BYTES, 'instance file'));
  return parseNamed(path, 'restore it from a backup', () => parseInstance(text, path)).shards;
}

interface Demands {
  readonly keys: readonly PublicKey[];
  readonly newest: readonly { path: string; text: string }[];
  readonly histories: ShardHistories;
  /** A log that grows needs no checkpoint. */
  readonly forget: boolean;
}

async function verifyBackup(
  cli: Cli,
  file: string,
  { keys, newest, histories, forget }: Demands,
): Promise<{ tree: string; treeSize: string; rootHash: string | null }[]> {
  const [
    { openSqliteReadStore },
    { checkTree },
    { rootOfPrefix },
    { isCheckpointSignedBy, noteOfTreeHead },
    { treeName },
  ] = await Promise.all([
    import('../tlog/sqlite-store.ts'),
    import('../tlog/fsck.ts'),
    import('../tlog/tree-state.ts'),
    import('../tlog/checkpoint-signer.ts'),
    import('../tlog/shards.ts'),
  ]);
  const store = openSqliteReadStore(dirname(file), basename(file));
  const progress = await startProgress(cli);
  try {
    const reports = [];
    for (const tree of store.trees) {
      const onProgress = (done: bigint, total: bigint): void => progress.show(`${tree}: ${done} of ${total} entries`);
      const report = await checkTree({ store, tree, keys, onProgress });
      const [finding] = report.findings;
      if (finding !== undefined) {
        throw new StorageError('DATABASE_CORRUPT', `the log ${tree} in ${file} is damaged: ${finding}`, {
          hint: 'take another backup',
        });
      }
      reports.push(report);
    }
    const proven = new Set<string>();
    for (const { path, text } of newest) {
      const ctOrigin = reports.find(({ tree }) => tree === 'ct')?.origin;
      const checkpoint = parseNamed(path, 'a checkpoint is a signed note, or of ct the answer of get-sth', () =>
        parseCheckpoint(ctOrigin !== undefined && text.startsWith('{') ? noteOfTreeHead(text, ctOrigin, keys) : text),
      );
      const { origin, treeSize, rootHash } = checkpoint;
      if (!keys.some((key) => isCheckpointSignedBy(checkpoint, key))) {
        throw new InputError('CHECKPOINT_INVALID', `${path} is not signed by a log of this data directory`, {
          hint: 'give a checkpoint of the log that the backup is of, and the data directory with its keys',
        });
      }
      const report = reports.find((each) => each.origin === origin);
      const root = report && (await rootOfPrefix(store, report.tree, treeSize));
      if (!report || !root || serializeHex(root) !== serializeHex(rootHash)) {
        throw new StorageError(
          'LOG_FORKED',
          `${file} does not hold the tree of ${treeSize} entries that ${path} is about`,
          {
            hint: 'take a newer backup; if there is none, what was answered is lost: start a new log instead',
          },
        );
      }
      proven.add(report.tree);
    }
    // An empty one may have grown since, too. A shard that another one was recorded to follow has not: each start verifies
    // the size that it ended with. Nobody has seen the one that a rotation only prepared.
    const growing = ['ct', ...ROTATED_LOGS.map((log) => treeName(log, histories[log].records.length + 1))];
    const lacking = reports.map(({ tree }) => tree).filter((tree) => growing.includes(tree) && !proven.has(tree));
    if (lacking.length > 0 && !forget) throw unproven(lacking.join(', '));
    return reports.map(({ tree, treeSize, rootHash }) => ({
      tree,
      treeSize: `${treeSize}`,
      rootHash: rootHash ?? null,
    }));
  } finally {
    progress.end();
    store.close();
  }
}
