import { lstatSync, mkdirSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { shellWord } from '../core/bytes/printable.ts';
import { StorageError } from '../core/errors.ts';

/** Bytes of a socket's path: what sockaddr_un takes on the platform that takes least, with its final NUL. */
const MAX_SOCKET_PATH_BYTES = 103;

/** The agent's socket inside its directory. AGENT_UNSAFE if the path is too long for a socket. */
export function socketPath(directory: string): string {
  const path = join(directory, 'agent.sock');
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return path;
  throw new StorageError('AGENT_UNSAFE', `the path ${path} is too long for a socket`, {
    hint: 'set XDG_RUNTIME_DIR to a shorter one',
  });
}

/**
 * Holds the agent's directory to what keeps others out: a folder, not a link to one, of this user, with mode 0700. Both
 * ends ask, as neither can know who made it. False if there is none; AGENT_UNSAFE if it is not so. Nothing is repaired: who
 * could change the mode could have put a socket there.
 */
export function requirePrivateDirectory(directory: string, uid: number): boolean {
  const found = lstatIfThere(directory);
  if (found === undefined) return false;
  const refuse = (problem: string, hint: string): StorageError =>
    new StorageError('AGENT_UNSAFE', `the agent's directory ${directory} ${problem}`, { hint });
  if (found.isSymbolicLink())
    throw refuse('is a symbolic link', `look where it leads, then remove it: ls -l ${directory}`);
  if (!found.isDirectory()) throw refuse('is not a folder', `ls -ld ${directory}`);
  if (found.uid !== uid) throw refuse(`belongs to another user (${found.uid})`, `ls -ld ${directory}`);
  const mode = found.mode & 0o7777;
  if (mode !== 0o700) {
    throw refuse(
      `has mode 0${mode.toString(8)}, not 0700`,
      `see that nobody put anything into it, then: chmod 700 ${directory}`,
    );
  }
  return true;
}

/** Makes the directory, private from its first moment, or holds the one that is there to `requirePrivateDirectory`. */
export function makePrivateDirectory(directory: string, uid: number): void {
  if (requirePrivateDirectory(directory, uid)) return;
  try {
    mkdirSync(dirname(directory), { recursive: true, mode: 0o700 });
    mkdirSync(directory, { mode: 0o700 });
  } catch (cause) {
    // Somebody may have been faster, another agent or somebody else: it is looked at again.
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new StorageError(
        'AGENT_UNSAFE',
        `cannot make the agent's directory ${directory}: ${(cause as Error).message}`,
        {
          cause,
          hint: `ls -ld ${shellWord(dirname(directory))}`,
        },
      );
    }
  }
  requirePrivateDirectory(directory, uid);
}

/** The same for what lies in it: true for a socket of this user, false if nothing is there. AGENT_UNSAFE. */
export function requireOwnSocket(path: string, uid: number): boolean {
  const found = lstatIfThere(path);
  if (found === undefined) return false;
  if (found.isSocket() && found.uid === uid) return true;
  throw new StorageError('AGENT_UNSAFE', `${path} is not a socket of this user`, { hint: `ls -l ${shellWord(path)}` });
}

function lstatIfThere(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
