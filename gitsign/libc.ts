import { StorageError } from '../core/errors.ts';

/** What Hallmark calls of the C library of Linux, for want of it in the runtime. Pointers are made with `ptr` of bun:ffi. */
interface Libc {
  getsockopt(fd: number, level: number, name: number, value: unknown, length: unknown): number;
  prctl(option: number, a: number, b: number, c: number, d: number): number;
}

let opened: Libc | undefined;

/** The C library, opened when it is first needed. AGENT_UNSAFE if it cannot be: without it nobody knows who connects. */
export function libc(): Libc {
  opened ??= open();
  return opened;
}

function open(): Libc {
  const { dlopen } = require('bun:ffi') as typeof import('bun:ffi');
  // musl has its symbols in the loader, under a name of its own.
  for (const name of ['libc.so.6', `ld-musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`]) {
    try {
      return dlopen(name, {
        getsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'ptr'], returns: 'i32' },
        prctl: { args: ['i32', 'u64', 'u64', 'u64', 'u64'], returns: 'i32' },
      }).symbols as unknown as Libc;
    } catch {
      // Not this one.
    }
  }
  throw new StorageError('AGENT_UNSAFE', 'the C library cannot be opened, so the agent cannot be told who connects', {
    hint: 'sign without the agent: each signature then logs in for itself',
  });
}

const PR_SET_DUMPABLE = 4;

/**
 * Keeps other processes of the same user from reading this one's memory, and a crash from writing it to disk (prctl(2),
 * PR_SET_DUMPABLE). Linux alone.
 */
export function protectMemory(): void {
  if (process.platform === 'linux') libc().prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
