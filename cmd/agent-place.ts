import { join } from 'node:path';
import { StorageError } from '../core/errors.ts';
import type { Cli } from './cli.ts';
import { runtimeDirectory, xdgDirectory } from './xdg.ts';

/**
 * The directory of the user's agent: in the runtime directory, which ends with the session, or where there is none in the
 * cache. Undefined without a home directory.
 */
export function agentDirectory(cli: Cli): string | undefined {
  const runtime = runtimeDirectory(cli);
  if (runtime !== undefined) return runtime;
  const cache = xdgDirectory(cli, 'cache');
  return cache && join(cache, 'agent');
}

/** The user whom an agent serves. AGENT_UNREACHABLE where the platform has no users with numbers. */
export function userId(): number {
  const uid = process.geteuid?.();
  if (uid !== undefined) return uid;
  throw new StorageError('AGENT_UNREACHABLE', 'there is no agent on this platform', {
    hint: 'sign without it: each signature then logs in for itself',
  });
}

/** What starts this program again: the compiled one alone, or the runtime with the source. */
export function ownCommand(): [string, ...string[]] {
  // The compiled program's own files lie in a file system that only it sees.
  return Bun.main.startsWith('/$bunfs/') || Bun.main.includes('~BUN')
    ? [process.execPath]
    : [process.execPath, Bun.main];
}
