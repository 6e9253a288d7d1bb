import { UsageError } from '../core/errors.ts';

/** Asks the person at the terminal for a password without showing it. Only where `cli.interactive` is true. */
export async function promptPassword(question: string): Promise<string> {
  const input = process.stdin;
  process.stderr.write(`${question}: `);
  input.setRawMode(true);
  input.setEncoding('utf8');
  input.resume();
  try {
    return await new Promise<string>((resolve, reject) => {
      const line = passwordLine();
      input.on('data', (text: string) => {
        const outcome = line(text);
        if (outcome === 'cancelled') reject(new UsageError('cancelled at the password prompt'));
        else if (outcome !== undefined) resolve(outcome.password);
      });
    });
  } finally {
    input.removeAllListeners('data');
    input.setRawMode(false);
    input.pause();
    process.stderr.write('\n');
  }
}

/**
 * Puts a password together from what raw keys send: Enter ends it, Backspace takes one character back, Ctrl-U all,
 * Ctrl-C and Ctrl-D on an empty line cancel.
 */
export function passwordLine(): (text: string) => { password: string } | 'cancelled' | undefined {
  let typed: string[] = [];
  return (text) => {
    for (const key of text) {
      if (key === '\r' || key === '\n') return { password: typed.join('') };
      if (key === '\u0003' || (key === '\u0004' && typed.length === 0)) return 'cancelled';
      if (key === '\u007f' || key === '\b') typed.pop();
      else if (key === '\u0015') typed = [];
      else if (key >= ' ') typed.push(key);
    }
    return undefined;
  };
}
