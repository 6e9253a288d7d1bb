import { Command } from 'commander';
import { StorageError } from '../core/errors.ts';
import type { TreeReport } from '../tlog/fsck.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { dataOption, readPublicKeys, requireLogDirectory } from './data-directory.ts';
import { PartialFailure } from './exit.ts';
import { startProgress } from './progress.ts';
import { printable } from './report.ts';

interface Flags {
  readonly data?: string;
  readonly output: OutputFormat;
}

export function logFsckCommand(cli: Cli): Command {
  return new Command('fsck')
    .description('recompute every tree of a data directory from its entries and compare all that is stored')
    .addOption(dataOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Entries, tiles, identities and the signature of each newest checkpoint, of all logs. Nothing is written, and the server may
run meanwhile. Search and duplicate indexes are caches of the server and not looked at.

Examples:
  hallmark log fsck
  hallmark log fsck --data /var/lib/hallmark --output json

Exit codes: 0 all is sound, 6 something is damaged, 3 there is no log.
`,
    )
    .action((flags: Flags) => fsck(cli, flags));
}

async function fsck(cli: Cli, flags: Flags): Promise<void> {
  const directory = requireLogDirectory(cli, flags.data);
  const keys = readPublicKeys(directory);
  const [{ openSqliteReadStore }, { checkTree }] = await Promise.all([
    import('../tlog/sqlite-store.ts'),
    import('../tlog/fsck.ts'),
  ]);
  const store = openSqliteReadStore(directory);
  const progress = await startProgress(cli);
  const reports: TreeReport[] = [];
  try {
    for (const tree of store.trees) {
      const onProgress = (done: bigint, total: bigint): void => progress.show(`${tree}: ${done} of ${total} entries`);
      reports.push(await checkTree({ store, tree, keys, onProgress }));
    }
  } finally {
    progress.end();
    store.close();
  }
  const trees = reports.map(({ tree, origin, treeSize, rootHash, findings }) => ({
    tree,
    origin: origin ?? null,
    treeSize: `${treeSize}`,
    rootHash: rootHash ?? null,
    findings: [...findings],
  }));
  const damaged = reports.find(({ findings }) => findings.length > 0);
  if (!damaged) {
    emit(cli, flags.output, { ok: true, trees }, reports.map(lines).join(''));
    return;
  }
  if (flags.output === 'text') cli.out(reports.map(lines).join(''));
  const first = `the log ${damaged.tree} in ${directory} is damaged: ${damaged.findings[0]}`;
  const failure = new StorageError('DATABASE_CORRUPT', first, {
    hint: 'stop the server, keep this directory as it is, and restore a backup that is not older than the last answer of the log',
  });
  throw new PartialFailure(failure, { trees });
}

const lines = ({ tree, origin, treeSize, rootHash, findings }: TreeReport): string => {
  const verdict = findings.length === 0 ? 'ok' : 'DAMAGED';
  const first = `${tree}: ${verdict}, ${treeSize} entries, root ${rootHash ?? 'unknown'}, origin ${printable(origin ?? 'unknown')}\n`;
  return first + findings.map((finding) => `  ${printable(finding)}\n`).join('');
};
