import { isAbsolute } from 'node:path';
import { Command } from 'commander';
import { Fields } from '../core/bytes/fields.ts';
import { type Json, parseJson } from '../core/bytes/json.ts';
import { UsageError } from '../core/errors.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { git, tryGit } from './git-process.ts';
import { printable, shellWord } from './report.ts';

interface Flags {
  readonly global?: true;
  readonly local?: true;
  readonly output: OutputFormat;
}

interface SetupFlags extends Flags {
  readonly signCommits?: true;
  readonly signTags?: true;
  readonly program?: string;
  readonly dryRun?: true;
}

/** Where `setup` writes down what was there before, for `unset`. */
const RECORD = 'hallmark.setup';

/** One value that is written, and all that were there before. */
interface Change {
  readonly key: string;
  readonly value: string;
  readonly previous: readonly string[];
}

/** `hallmark git setup`: has git call this program for its signatures. */
export function gitSetupCommand(cli: Cli): Command {
  return scoped(new Command('setup').description('have git sign and verify with Hallmark; shows what it writes'))
    .option('--sign-commits', 'sign every commit, without -S')
    .option('--sign-tags', 'sign every annotated tag, without -s')
    .option('--program <path>', 'the program that git is to call (default: this one)')
    .option('--dry-run', 'show what would be written, and write nothing')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Writes gpg.format and gpg.x509.program, so that git signs with Hallmark and brings X.509 signatures to it; OpenPGP and SSH
signatures go where they went before, and X.509 ones of others to gpgsm. To undo it: hallmark git unset.

gpg.program alone would do for signing, but verify only here: the signature then carries PGP's label, which gitsign does not read.

Whose signatures git shows as trusted (%G? = G, "fully") is what your own configuration says:
  git config --global --add hallmark.signer email:NAME@DOMAIN       google:NAME@DOMAIN, github:OWNER/REPO
  git config --global hallmark.policy ~/signers.yaml                docs/git.md
A valid signature of anybody else is shown as of unknown validity (%G? = U).

Examples:
  hallmark git setup --global --sign-commits --sign-tags
  hallmark git setup --local
`,
    )
    .action((flags: SetupFlags) => {
      const scope = scopeOf(flags);
      const program = flags.program ?? ownProgram();
      if (!isAbsolute(program)) {
        throw new UsageError(`--program ${shellWord(program)} is not an absolute path`, {
          hint: 'git looks for a name on PATH, where another program may stand',
        });
      }
      const wanted: [string, string][] = [
        ['gpg.format', 'x509'],
        ['gpg.x509.program', program],
        ...(flags.signCommits ? ([['commit.gpgsign', 'true']] as [string, string][]) : []),
        ...(flags.signTags ? ([['tag.gpgsign', 'true']] as [string, string][]) : []),
      ];
      const before = readRecord(scope);
      const changes = wanted.map(([key, value]) => planned(scope, key, value, before));
      if (!flags.dryRun) {
        const others = before.filter(({ key }) => !changes.some((change) => change.key === key));
        write(scope, RECORD, [JSON.stringify([...changes, ...others])]);
        for (const { key, value } of changes) write(scope, key, [value]);
      }
      const lines = changes.map(({ key, value, previous }) => {
        const was = previous.length === 0 ? '' : `   # was ${printable(previous.join(', '))}`;
        return `git config ${scope} ${key} ${shellWord(value)}${was}\n`;
      });
      const done = flags.dryRun ? 'nothing was written\n' : `written; to undo it: hallmark git unset ${scope}\n`;
      emit(
        cli,
        flags.output,
        { ok: true, scope: scope.slice(2), written: !flags.dryRun, changes: changes.map(changeJson) },
        `${lines.join('')}${done}`,
      );
    });
}

/** `hallmark git unset`: undoes what `setup` wrote, and nothing else. */
export function gitUnsetCommand(cli: Cli): Command {
  return scoped(new Command('unset').description('undo `hallmark git setup`: what was there before is there again'))
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
What was changed since by somebody else is left as it is.

Example:
  hallmark git unset --global
`,
    )
    .action((flags: Flags) => {
      const scope = scopeOf(flags);
      const record = readRecord(scope);
      if (record.length === 0) {
        throw new UsageError(`there is nothing to undo in the ${scope.slice(2)} configuration`, {
          hint: `hallmark git unset ${scope === '--global' ? '--local' : '--global'}`,
        });
      }
      const kept: Change[] = [];
      for (const change of record) {
        const now = valuesOf(scope, change.key);
        if (now.length === 1 && now[0] === change.value) write(scope, change.key, change.previous);
        else kept.push(change);
      }
      write(scope, RECORD, []);
      removeEmptySection(scope);
      const undone = record.filter((change) => !kept.includes(change));
      emit(
        cli,
        flags.output,
        { ok: true, scope: scope.slice(2), undone: undone.map(changeJson), kept: kept.map(({ key }) => key) },
        [
          ...undone.map(({ key, previous }) =>
            previous.length === 0
              ? `git config ${scope} --unset ${key}\n`
              : `git config ${scope} ${key} ${previous.map(shellWord).join(' ')}\n`,
          ),
          ...kept.map(({ key }) => `left as it is, changed since: ${key}\n`),
        ].join(''),
      );
    });
}

function scoped(command: Command): Command {
  return command
    .option('--global', 'for all your repositories (the default)')
    .option('--local', 'for the repository that this is run in');
}

function scopeOf({ global, local }: Flags): '--global' | '--local' {
  if (global && local) throw new UsageError('--global and --local exclude each other');
  return local ? '--local' : '--global';
}

// The compiled program; run from its source there is no one file that git could call.
function ownProgram(): string {
  if (Bun.main.startsWith('/$bunfs/') || Bun.main.includes('~BUN')) return process.execPath;
  throw new UsageError('git needs one program to call, and this runs from its source', {
    hint: 'build it: npm run build, or give --program PATH',
  });
}

// What was there before the first setup, if this is another one.
function planned(scope: string, key: string, value: string, before: readonly Change[]): Change {
  const now = valuesOf(scope, key);
  const recorded = before.find((change) => change.key === key);
  const isOurs = recorded !== undefined && now.length === 1 && now[0] === recorded.value;
  return { key, value, previous: isOurs ? recorded.previous : now };
}

// With the key before each value, as one without `=` has none: to git that is true, and an empty value is false.
function valuesOf(scope: string, key: string): string[] {
  const { code, stdout } = tryGit(['config', scope, '-z', '--get-regexp', `^${key.replaceAll('.', '\\.')}$`]);
  const found = code === 0 ? Buffer.from(stdout).toString().split('\0').slice(0, -1) : [];
  return found.map((text) => (text.includes('\n') ? text.slice(text.indexOf('\n') + 1) : 'true'));
}

function write(scope: string, key: string, values: readonly string[]): void {
  const [first, ...more] = values;
  if (first === undefined) {
    if (valuesOf(scope, key).length > 0) git(['config', scope, '--unset-all', key]);
    return;
  }
  git(['config', scope, '--replace-all', key, first]);
  for (const value of more) git(['config', scope, '--add', key, value]);
}

// Older versions of git leave the section's title behind.
function removeEmptySection(scope: string): void {
  const left = tryGit(['config', scope, '--get-regexp', '^hallmark\\.']);
  if (left.code !== 0) tryGit(['config', scope, '--remove-section', 'hallmark']);
}

function readRecord(scope: string): Change[] {
  const [text] = valuesOf(scope, RECORD);
  if (text === undefined) return [];
  const list = new Fields({ list: parseJson(text) }, RECORD, 'CONFIG_INVALID').objects('list', 16);
  return list.map((item) => ({
    key: item.string('key'),
    value: item.string('value'),
    previous: item.array('previous', 100).map((value) => {
      if (typeof value !== 'string') throw item.fail('previous', 'expected texts');
      return value;
    }),
  }));
}

const changeJson = ({ key, value, previous }: Change): Json => ({ key, value, previous: [...previous] });
