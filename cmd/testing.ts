import type { FetchLike } from '../core/http/client.ts';
import type { Cli } from './cli.ts';

/** Test only: a Cli that touches nothing and keeps what was printed. */
export function fakeCli(options: {
  env?: Record<string, string>;
  fetch?: FetchLike;
  now?: Date;
  interactive?: boolean;
  outIsTerminal?: boolean;
}): Cli & { readonly printed: { out: string; err: string[] } } {
  const printed = { out: '', err: [] as string[] };
  return {
    env: (name) => options.env?.[name],
    now: () => options.now ?? new Date(),
    interactive: options.interactive ?? false,
    outIsTerminal: options.outIsTerminal ?? false,
    colour: false,
    out: (text) => {
      printed.out += text;
    },
    say: (text) => void printed.err.push(text),
    warn: (text) => void printed.err.push(`warning: ${text}`),
    fetch:
      options.fetch ??
      (async (url) => {
        throw new Error(`no network in this test: ${url}`);
      }),
    printed,
  };
}
