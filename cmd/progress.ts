import type { Cli } from './cli.ts';

/** A line on the terminal that says what is going on. */
export interface Progress {
  readonly show: (text: string) => void;
  readonly end: () => void;
}

/** Starts a progress line on standard error; one that shows nothing where nobody watches. */
export async function startProgress(cli: Cli): Promise<Progress> {
  // A terminal that says it has no columns makes the spinner clear lines without end.
  if (!cli.interactive || !(process.stderr.columns > 0)) return { show: () => {}, end: () => {} };
  // Loaded only here: a pipeline never shows it.
  const { default: ora } = await import('ora');
  // Standard input is left alone: it may hold what is being signed.
  const spinner = ora({ stream: process.stderr, discardStdin: false }).start();
  return {
    show: (text) => {
      spinner.text = text;
    },
    end: () => void spinner.stop(),
  };
}
