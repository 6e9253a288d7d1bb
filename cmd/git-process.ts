import { InputError, UsageError } from '../core/errors.ts';
import { environmentBeside } from './env.ts';

/** What a git command printed. */
export interface GitResult {
  readonly code: number;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

// The repository is what is under test, its .git/config included. What of it names a program that a reading command could run,
// or has git see another history than the objects tell, is set aside here (git-config(1); the command line comes last and wins).
const SETTINGS = [
  // diff-tree reads the index, and with it asks a file system monitor, which may be any program.
  'core.fsmonitor=false',
  'core.hooksPath=/dev/null',
  'core.alternateRefsCommand=',
  'core.pager=cat',
  'log.showSignature=false',
  'diff.external=',
  // Objects that are missing of a partial clone are missing: fetching them runs transports, helpers and uploadpack commands.
  'protocol.allow=never',
  'core.sshCommand=false',
  'core.gitProxy=',
  'core.askPass=false',
  'credential.helper=',
  // A file beside the objects that tells what their parents are; nothing holds it to them.
  'core.commitGraph=false',
  'advice.graftFileDeprecated=false',
];
// Replaced objects are for people who look at a history; what is verified are the objects that it consists of.
const PREFIX = [
  'git',
  '--no-pager',
  '--no-replace-objects',
  '--no-optional-locks',
  ...SETTINGS.flatMap((setting) => ['-c', setting]),
];
// Where git lies in a quarantine, and which repository it is about, it says in the rest of the environment.
const VARIABLES = {
  GIT_NO_LAZY_FETCH: '1',
  GIT_ALLOW_PROTOCOL: '',
  GIT_TERMINAL_PROMPT: '0',
  GIT_GRAFT_FILE: '/dev/null',
};

/** Runs git to its end. USAGE if there is no git. */
export function tryGit(args: readonly string[], input?: Uint8Array): GitResult {
  try {
    const { exitCode, stdout, stderr } = Bun.spawnSync([...PREFIX, ...args], {
      stdin: input ?? 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      env: environmentBeside(VARIABLES),
    });
    return { code: exitCode, stdout, stderr: stderr.toString().trim() };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new UsageError('git is not installed, or not on PATH', { cause });
  }
}

/** The same where git has to succeed; what it says otherwise is the error. INPUT_UNREADABLE. */
export function git(args: readonly string[], input?: Uint8Array): string {
  const { code, stdout, stderr } = tryGit(args, input);
  if (code === 0) return Buffer.from(stdout).toString();
  const [said = ''] = stderr.replace(/^(?:fatal|error): /, '').split('\n');
  throw new InputError('INPUT_UNREADABLE', `git ${args[0]} failed: ${said || `exit code ${code}`}`);
}

/** A git command that is fed and read while it runs. */
export const spawnGit = (args: readonly string[]) =>
  Bun.spawn([...PREFIX, ...args], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
    env: environmentBeside(VARIABLES),
  });

/** The lines of what git printed. */
export const linesOf = (text: Uint8Array | string): string[] =>
  Buffer.from(text)
    .toString()
    .split('\n')
    .filter((line) => line !== '');
