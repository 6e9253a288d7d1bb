import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { UsageError } from '../core/errors.ts';
import type { Cli } from './cli.ts';
import { environmentWith, searchPath } from './env.ts';

/** Programs that verify what is not ours. */
export type ForeignProgram = 'gpg' | 'gpgsm';

/**
 * Runs the real program in our place: same arguments, same descriptors, and its exit code is ours. `configured` names it,
 * else it is the first on PATH that is not this program again. USAGE if there is none.
 */
export function passOn(
  cli: Cli,
  program: ForeignProgram,
  configured: string | undefined,
  argv: readonly string[],
): number {
  if (cli.env('HALLMARK_PASSED_ON') !== undefined) {
    throw new UsageError(`the ${program} that this was passed on to is Hallmark again`, {
      hint: `name the real one: git config --global hallmark.${program}Program /usr/bin/${program}`,
    });
  }
  const path = configured ?? findProgram(program);
  if (path === undefined) {
    throw new UsageError(`this needs ${program}, which is not installed`, {
      hint: `install it, or name it: git config --global hallmark.${program}Program PATH`,
    });
  }
  if (isSelf(path)) throw new UsageError(`${path} is Hallmark, not ${program}`);
  const { exitCode, signalCode } = Bun.spawnSync([path, ...argv], {
    // git has gpg write its status to one of these.
    stdio: ['inherit', 'inherit', 'inherit'],
    env: environmentWith('HALLMARK_PASSED_ON', '1'),
  });
  return signalCode === undefined || signalCode === null ? exitCode : 128;
}

function findProgram(name: string): string | undefined {
  return searchPath()
    .filter(isAbsolute)
    .map((folder) => join(folder, name))
    .find((path) => isExecutable(path) && !isSelf(path));
}

function isExecutable(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true && (found.mode & 0o111) !== 0;
}

// A link to this program, or a copy of it.
function isSelf(path: string): boolean {
  try {
    if (realpathSync(path) === realpathSync(process.execPath)) return true;
    const [mine, other] = [statSync(process.execPath), statSync(path)];
    if (mine.dev === other.dev && mine.ino === other.ino) return true;
    return mine.size === other.size && isSameSample(process.execPath, path, mine.size);
  } catch {
    return false;
  }
}

/** Bytes that are compared: the end of a compiled program is what it was compiled from. */
const SAMPLE_BYTES = 256 * 1024;

function isSameSample(one: string, other: string, size: number): boolean {
  const sample = (path: string): Buffer => {
    const bytes = Buffer.alloc(Math.min(SAMPLE_BYTES, size));
    const fd = openSync(path, 'r');
    try {
      readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    } finally {
      closeSync(fd);
    }
    return bytes;
  };
  return sample(one).equals(sample(other));
}
