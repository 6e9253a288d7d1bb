import { isAbsolute, join } from 'node:path';
import { UsageError } from '../core/errors.ts';
import type { Cli } from './cli.ts';

/** Kinds of folders (XDG Base Directory Specification): the variable, and the folder in the home directory if it is not set. */
const DIRECTORIES = {
  config: { variable: 'XDG_CONFIG_HOME', fallback: '.config' },
  data: { variable: 'XDG_DATA_HOME', fallback: '.local/share' },
  cache: { variable: 'XDG_CACHE_HOME', fallback: '.cache' },
} as const;

/** Hallmark's folder of this kind; undefined without a home directory. */
export function xdgDirectory(cli: Cli, kind: keyof typeof DIRECTORIES, home = cli.env('HOME')): string | undefined {
  const base = baseDirectory(cli, kind, home);
  return base && join(base, 'hallmark');
}

/** The folder of this kind of all programs; undefined without a home directory. */
export function baseDirectory(cli: Cli, kind: keyof typeof DIRECTORIES, home = cli.env('HOME')): string | undefined {
  const { variable, fallback } = DIRECTORIES[kind];
  const set = absolute(cli.env(variable));
  return set ?? (home === undefined ? undefined : join(home, fallback));
}

/** Hallmark's folder for sockets, which ends with the session; undefined where there is none. It has no other place. */
export function runtimeDirectory(cli: Cli): string | undefined {
  const set = absolute(cli.env('XDG_RUNTIME_DIR'));
  return set && join(set, 'hallmark');
}

// Relative paths are to be ignored, says the specification.
const absolute = (path: string | undefined): string | undefined =>
  path !== undefined && isAbsolute(path) ? path : undefined;

/** The same where there has to be one; `what` is to be kept there. UsageError without a home directory. */
export function requireXdgDirectory(
  cli: Cli,
  kind: keyof typeof DIRECTORIES,
  what: string,
  home = cli.env('HOME'),
): string {
  const directory = xdgDirectory(cli, kind, home);
  if (directory !== undefined) return directory;
  throw new UsageError(`there is no place for ${what}: HOME is not set`, {
    hint: `export ${DIRECTORIES[kind].variable}=/absolute/path`,
  });
}
