import { Command } from 'commander';
import type { Cli } from './cli.ts';
import { logBackupCommand } from './log-backup.ts';
import { logConsistencyCommand } from './log-consistency.ts';
import { logFsckCommand } from './log-fsck.ts';
import { logGetCommand } from './log-get.ts';
import { logInfoCommand } from './log-info.ts';
import { logProveCommand } from './log-prove.ts';
import { logRestoreCommand } from './log-restore.ts';
import { logSearchCommand } from './log-search.ts';
import { logFreezeCommand, logRotateCommand, logShardsCommand } from './log-shards.ts';

/** `hallmark log`: a subcommand is its flags alone until it is called; then it loads what it needs. */
export function logCommand(cli: Cli): Command {
  const command = new Command('log').description('Look into a transparency log and after its data.');
  for (const create of [
    logInfoCommand,
    logGetCommand,
    logProveCommand,
    logSearchCommand,
    logConsistencyCommand,
    logFsckCommand,
    logBackupCommand,
    logRestoreCommand,
    logShardsCommand,
    logRotateCommand,
    logFreezeCommand,
  ]) {
    command.addCommand(create(cli));
  }
  return command.addHelpText(
    'after',
    `
Examples:
  hallmark log info                          the newest checkpoint, and that it extends the one seen last time
  hallmark log get 42                        an entry, with proof that the log has it
  hallmark log prove release.tar.gz          that the log still has what was signed
  hallmark log search --artifact FILE        entries about a file, on the server's word
  hallmark log fsck                          recompute the logs of this machine's hallmark serve
  hallmark log backup log.db                 copy them while the server runs
  hallmark log rotate --v2                   go on in a new shard with a new key
`,
  );
}
