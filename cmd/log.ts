import { Command } from 'commander';
import type { Cli } from './cli.ts';
import { logFsckCommand } from './log-fsck.ts';

/** `hallmark log`: a subcommand is its flags alone until it is called; then it loads what it needs. */
export function logCommand(cli: Cli): Command {
  const command = new Command('log').description('look into a transparency log and after its data');
  for (const create of [logFsckCommand]) command.addCommand(create(cli));
  return command.addHelpText(
    'after',
    `
Examples:
  hallmark log fsck                          recompute the logs of this machine's hallmark serve
`,
  );
}
