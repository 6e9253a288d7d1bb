import { HallmarkError, UsageError } from '../core/errors.ts';
import { requireUtf8 } from './arguments.ts';
import { type Cli, processCli, resultText } from './cli.ts';
import { COMMANDS } from './commands.ts';
import { AlreadyReported, EXIT_INTERNAL, errorJson, exitCodeOf, PartialFailure } from './exit.ts';
import { isGpgCall } from './gpg-call.ts';
import { printable } from './report.ts';
import { versionLine } from './version.ts';

/**
 * Runs one command line and returns its exit code. Only the command that is called is loaded.
 */
export async function main(argv: readonly string[], cli: Cli): Promise<number> {
  try {
    requireUtf8(argv);
    if (argv[0] === '--version' || argv[0] === '-V') {
      cli.out(`${versionLine()}\n`);
      return 0;
    }
    // git calls this for every commit that it signs or shows.
    if (isGpgCall(argv)) return await (await import('./git-program.ts')).runGitProgram(argv, cli);
    return await dispatch(argv, cli);
  } catch (error) {
    if (error instanceof AlreadyReported) return error.exitCode;
    try {
      return report(error, wantsJson(argv), cli);
    } catch (unwritable) {
      // Standard output takes no result: what is left is to say so.
      return report(unwritable, false, cli);
    }
  }
}

async function dispatch(argv: readonly string[], cli: Cli): Promise<number> {
  const { Command, CommanderError } = await import('commander');
  const program = new Command('hallmark')
    .description(
      'Sign, verify and attest software with an identity instead of a kept key; or be the service behind it.',
    )
    .option('-V, --version', 'print version, commit and build target')
    // So that a subcommand may have options of the same names as the command above it.
    .enablePositionalOptions()
    .configureOutput({ writeOut: (text) => cli.out(text), writeErr: () => {} })
    .exitOverride()
    .addHelpText(
      'after',
      `
Examples:
  hallmark serve                                        a complete Sigstore on 127.0.0.1:8080
  hallmark sign release.tar.gz                          writes release.tar.gz.sigstore.json
  hallmark verify release.tar.gz --certificate-identity you@example.com --certificate-oidc-issuer https://accounts.google.com
`,
    );
  const called = argv.find((word) => !word.startsWith('-'));
  const named = called === 'help' ? argv[argv.indexOf(called) + 1] : called;
  // The other commands only matter to help and to who mistypes one.
  const known = called !== undefined && Object.hasOwn(COMMANDS, called);
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    if (known && name !== called) continue;
    program.addCommand(name === named ? inherit((await load())(cli), program) : new Command(name).description(summary));
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    if (error.code === 'commander.help') {
      // Called without a subcommand: the help is the answer to a wrong command line.
      throw new UsageError('no command given', { hint: `hallmark ${known ? `${called} ` : ''}--help` });
    }
    throw new UsageError(error.message.replace(/^error: /, ''), {
      hint: `hallmark ${named !== undefined && Object.hasOwn(COMMANDS, named) ? `${named} ` : ''}--help`,
    });
  }
}

// A command made in its own file takes over how the program writes and ends; its subcommands too.
function inherit(
  command: import('commander').Command,
  parent: import('commander').Command,
): import('commander').Command {
  command.copyInheritedSettings(parent);
  for (const child of command.commands) inherit(child, command);
  return command;
}

const wantsJson = (argv: readonly string[]): boolean =>
  argv.some((word, i) => word === '--output=json' || (word === 'json' && argv[i - 1] === '--output'));

function report(error: unknown, json: boolean, cli: Cli): number {
  if (!(error instanceof HallmarkError)) {
    const message = error instanceof Error ? error.message : String(error);
    if (json) cli.out(resultText('json', { ok: false, error: { code: 'INTERNAL', message } }, ''));
    cli.say(`hallmark: internal error: ${printable(message)}`);
    if (error instanceof Error) for (const line of error.stack?.split('\n') ?? []) cli.say(printable(line));
    return EXIT_INTERNAL;
  }
  const beside = error instanceof PartialFailure ? error.result : {};
  if (json) cli.out(resultText('json', { ok: false, error: errorJson(error), ...beside }, ''));
  // What an attacker wrote into a bundle may reach a message or hint.
  cli.say(`${cli.colour ? '\u001b[31mhallmark: error:\u001b[0m' : 'hallmark: error:'} ${printable(error.message)}`);
  for (const line of error.hint?.split('\n') ?? []) cli.say(`hint: ${printable(line)}`);
  return exitCodeOf(error);
}

async function runThread(): Promise<void> {
  const { workerData } = await import('node:worker_threads');
  // The threads of the log's database and of its indexes, or a worker of `hallmark verify`.
  const role = (workerData as { role?: unknown } | null)?.role;
  if (role === 'log-store') await import('../tlog/store-thread.ts');
  else if (role === 'log-index') await import('../tlog/index/index-thread.ts');
  else await (await import('./verify-worker.ts')).runVerifyWorker();
}

if (!Bun.isMainThread) {
  // A thread of this program: the compiled one has no other file that it could be started from.
  void runThread();
} else if (import.meta.main) {
  void main(process.argv.slice(2), processCli()).then((code) => {
    process.exitCode = code;
  });
}
