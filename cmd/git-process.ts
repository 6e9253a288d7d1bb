import { InputError, UsageError } from '../core/errors.ts';

/** What a git command printed. */
export interface GitResult {
  readonly code: number;
  readonly stdout: Uint8Array;
  readonly stderr: string;
}

// Replaced objects are for people who look at a history; what is verified are the objects that it consists of.
const PREFIX = ['git', '--no-replace-objects', '--no-optional-locks'];

/** Runs git to its end. USAGE if there is no git. */
export function tryGit(args: readonly string[], input?: Uint8Array): GitResult {
  try {
    const { exitCode, stdout, stderr } = Bun.spawnSync([...PREFIX, ...args], {
      stdin: input ?? 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
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
  Bun.spawn([...PREFIX, ...args], { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' });
