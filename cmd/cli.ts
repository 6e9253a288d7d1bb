import { fstatSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import type { Option } from 'commander';
import type { Json } from '../core/bytes/json.ts';
import { StorageError } from '../core/errors.ts';
import type { FetchLike } from '../core/http/client.ts';
import { type EnvName, readEnv } from './env.ts';

export type OutputFormat = 'text' | 'json';

/** What a command may touch of the process: made once in main.ts, faked in tests. */
export interface Cli {
  /** A variable of the table in env.ts; the empty string is undefined. */
  readonly env: (name: EnvName) => string | undefined;
  readonly now: () => Date;
  /** True if a person can answer: standard input and error are terminals and CI is not set. */
  readonly interactive: boolean;
  /** True if standard output is a terminal. */
  readonly outIsTerminal: boolean;
  /** Colour on standard error is wanted: a terminal, no NO_COLOR, no TERM=dumb. */
  readonly colour: boolean;
  /** Data, to standard output, as it is; nothing if its reader has left. FILE_UNWRITABLE. */
  out(text: string): void;
  /** Talk, to standard error, one line. Never fails. */
  say(text: string): void;
  /** A warning, to standard error, one line. */
  warn(text: string): void;
  readonly fetch: FetchLike;
}

/** The real process. */
export function processCli(): Cli {
  const wantsColour = (): boolean => readEnv('NO_COLOR') === undefined && readEnv('TERM') !== 'dumb' && isTerminal(2);
  const say = (text: string): void => {
    try {
      writeAll(2, `${text}\n`);
    } catch {
      // There is nowhere left to say so.
    }
  };
  return {
    env: readEnv,
    now: () => new Date(),
    get interactive() {
      return readEnv('CI') === undefined && isTerminal(0) && isTerminal(2);
    },
    get outIsTerminal() {
      return isTerminal(1);
    },
    get colour() {
      return wantsColour();
    },
    out: (text) => {
      try {
        writeAll(1, text);
      } catch (cause) {
        throw outUnwritable(cause as NodeJS.ErrnoException);
      }
    },
    say,
    warn: (text) => say(`${wantsColour() ? '\u001b[33mwarning:\u001b[0m' : 'warning:'} ${text}`),
    fetch: async (url, init) => {
      const { fetch } = await import('undici');
      return (await fetch(url, init as never)) as unknown as Response;
    },
  };
}

// A pipe or a file, as in scripts, is told without the module for terminals, which brings sockets and streams along.
function isTerminal(fd: number): boolean {
  try {
    if (!fstatSync(fd).isCharacterDevice()) return false;
  } catch {
    return false;
  }
  const { isatty } = require('node:tty') as typeof import('node:tty');
  return isatty(fd);
}

// Synchronous, so that nothing is lost when the process ends right after. A pipe that is full answers EAGAIN.
/** Writes all of a text to a descriptor; false if its reader has left. */
export function writeAll(fd: number, text: string): boolean {
  const bytes = Buffer.from(text, 'utf8');
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE') return false;
      if (code !== 'EAGAIN') throw error;
      Bun.sleepSync(1);
    }
  }
  return true;
}

/** O_CLOEXEC of Linux (fcntl(2)), as /proc shows it. */
const CLOSED_ON_EXEC = 0o2000000;

/**
 * True if whoever started this process gave it the descriptor, not the runtime: for those of 0 to 2 that are closed it opens
 * /dev/null, closed on exec, which nothing that was inherited is; and it has event queues of its own.
 */
export function isGiven(fd: number): boolean {
  try {
    fstatSync(fd);
    if (process.platform !== 'linux') return true;
    if (readlinkSync(`/proc/self/fd/${fd}`).startsWith('anon_inode:')) return false;
    const [, flags = ''] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
    return fd > 2 || (Number.parseInt(flags, 8) & CLOSED_ON_EXEC) === 0;
  } catch (error) {
    // Without /proc there is only what fstat said.
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}

function outUnwritable(cause: NodeJS.ErrnoException): StorageError {
  const problem = cause.code === 'ENOSPC' || cause.code === 'EDQUOT' ? 'no space is left' : cause.message;
  return new StorageError('FILE_UNWRITABLE', `cannot write to standard output: ${problem}`, {
    cause,
    hint: 'send the output to where it can be written',
  });
}

/** `--output text|json`, the same in every command. */
export function outputOption(): Option {
  // Loaded here, so that what needs no command line, as --version, starts without it.
  const { Option } = require('commander') as typeof import('commander');
  return new Option('--output <format>', 'text for people, json for machines (one line, stable schema)')
    .choices(['text', 'json'])
    .default('text');
}

/** Prints a command's result to standard output: one line of JSON with its schema version, or the text. */
export function emit(cli: Cli, format: OutputFormat, json: Record<string, Json>, text: string): void {
  cli.out(resultText(format, json, text));
}

/** What `emit` prints. */
export function resultText(format: OutputFormat, json: Record<string, Json>, text: string): string {
  return format === 'json' ? `${jsonLine({ schemaVersion: 1, ...json })}\n` : text;
}

/** One line of JSON without what a terminal acts on, which JSON lets through: it is looked at on terminals too. */
export function jsonLine(json: Record<string, unknown>): string {
  const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return JSON.stringify(json).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (found) => found.split('').map(escaped).join(''));
}
