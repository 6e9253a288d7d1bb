import { randomBytes } from 'node:crypto';
import type { Http } from '../core/http/client.ts';
import type { Cli } from './cli.ts';

/** The network as commands use it: the process's fetch and clock, the runtime's randomness, real pauses. */
export function httpOf(cli: Cli): Http {
  return {
    fetch: cli.fetch,
    clock: cli.now,
    random: (bytes) => new Uint8Array(randomBytes(bytes)),
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  };
}
