import { Command } from 'commander';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { GIT_SETTINGS, type GitSettingName, type GitSettings, readGitSettings } from './git-settings.ts';
import { printable } from './report.ts';

/** `hallmark git config`: what is in force and from where. */
export function gitConfigCommand(cli: Cli): Command {
  return new Command('config')
    .description('explain which settings of git signing are in force here, and where they are from')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
A setting is read as hallmark.NAME or, where gitsign has it, gitsign.NAME; environment variables of gitsign come before both.
What decides whom you trust, or names a file, is taken from your own configuration alone, never from a repository's.

Settings:
${Object.entries(GIT_SETTINGS)
  .map(([name, { what }]) => `  ${name.padEnd(20)}${what}`)
  .join('\n')}

Example:
  hallmark git config --output json
`,
    )
    .action((flags: { output: OutputFormat }) => {
      const settings = readGitSettings(cli);
      const names = Object.keys(GIT_SETTINGS) as GitSettingName[];
      const inForce = names.flatMap((name) => settings.all(name).map((setting) => ({ name, setting })));
      const calls = CALLS.map((key) => ({ key, setting: settings.git(key) }));
      const notes = notesOn(settings);
      emit(
        cli,
        flags.output,
        {
          ok: true,
          settings: inForce.map(({ name, setting }) => ({ name, value: setting.value, source: setting.source })),
          git: Object.fromEntries(calls.map(({ key, setting }) => [key, setting?.value ?? null])),
          ignored: settings.ignored.map(({ key, setting, reason }) => ({
            key,
            value: setting.value,
            source: setting.source,
            reason,
          })),
          notes,
        },
        [
          ...calls.map(({ key, setting }) => row(key, setting?.value ?? '(not set)', setting?.source)),
          ...inForce.map(({ name, setting }) => row(name, setting.value, setting.source)),
          ...settings.ignored.map(({ key, setting, reason }) =>
            row(`(${key})`, setting.value, `passed over: ${reason}`),
          ),
          ...notes.map((note) => `note: ${printable(note)}\n`),
        ].join(''),
      );
    });
}

/** What of git's own configuration decides whether this program is called. */
const CALLS = ['gpg.format', 'gpg.x509.program', 'gpg.program', 'commit.gpgsign', 'tag.gpgsign'] as const;

const row = (name: string, value: string, source: string | undefined): string =>
  `${name.padEnd(20)}${printable(value)}${source === undefined ? '' : `   (${printable(source)})`}\n`;

function notesOn(settings: GitSettings): string[] {
  const format = settings.git('gpg.format')?.value ?? 'openpgp';
  const x509 = settings.git('gpg.x509.program')?.value;
  const openpgp = settings.git('gpg.program')?.value ?? settings.git('gpg.openpgp.program')?.value;
  const isOurs = (program: string | undefined): boolean => /(?:^|\/)hallmark(?:\.exe)?$/.test(program ?? '');
  if (isOurs(x509) && format === 'x509') return [];
  if (isOurs(openpgp) && format === 'openpgp' && !isOurs(x509)) {
    return [
      'gpg.program is Hallmark and gpg.x509.program is not: signatures carry the label PGP SIGNATURE, verify only where Hallmark is gpg.program, and gitsign does not read them; hallmark git setup changes that',
    ];
  }
  if (isOurs(x509)) {
    return [`git signs with ${format}, not with Hallmark; it does verify with it. hallmark git setup changes that`];
  }
  return ['git does not call Hallmark; hallmark git setup changes that'];
}
