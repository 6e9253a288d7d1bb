import { Command } from 'commander';
import type { Cli } from './cli.ts';
import { gitConfigCommand } from './git-config.ts';
import { gitSetupCommand, gitUnsetCommand } from './git-setup.ts';
import { gitShowCommand } from './git-show.ts';
import { gitVerifyCommand } from './git-verify.ts';

/** `hallmark git`: everything about signatures in git but making and showing them, which git itself calls the program for. */
export function gitCommand(cli: Cli): Command {
  return new Command('git')
    .description('Sign commits and tags with your identity, and verify them.')
    .addCommand(gitSetupCommand(cli))
    .addCommand(gitUnsetCommand(cli))
    .addCommand(gitConfigCommand(cli))
    .addCommand(gitVerifyCommand(cli))
    .addCommand(gitShowCommand(cli))
    .addHelpText(
      'after',
      `
Once it is set up, git signs and verifies by itself: git commit -S, git tag -s, git log --show-signature.

Examples:
  hallmark git setup --global --sign-commits
  hallmark git verify refs/remotes/origin/main..HEAD --policy policy.yaml
  hallmark git config
`,
    );
}
