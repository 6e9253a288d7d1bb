import { UsageError } from '../core/errors.ts';

/** A command line of gpg, as git and those who stand in for it write them. */
export type GpgCall =
  | {
      readonly kind: 'sign';
      readonly statusFd: number | undefined;
      readonly key: string | undefined;
      readonly data: string;
    }
  | {
      readonly kind: 'verify';
      readonly statusFd: number | undefined;
      readonly signature: string;
      readonly data: string;
    }
  /** Anything else that gpg can do. */
  | { readonly kind: 'other' };

/** First words that no command line of ours begins with. */
const FIRST_WORD =
  /^(?:--(?:status-fd|keyid-format|verify|sign|detach-sign|detached-sign|armor|local-user)(?:=.*)?|-[bsa]+u?|-u)$/;

/** True if this program is called in gpg's place. Looks at one word: git calls it for every signature. */
export const isGpgCall = (argv: readonly string[]): boolean => FIRST_WORD.test(argv[0] ?? '');

/** Options with a value, in one word with `=` or in two. */
const VALUED: readonly string[] = ['--status-fd', '--keyid-format', '--local-user', '--include-certs'];
const LONG: Readonly<Record<string, string>> = {
  '--sign': 's',
  '--detach-sign': 'b',
  '--detached-sign': 'b',
  '--armor': 'a',
  '--verify': 'v',
};

/** Reads a command line of gpg: git's own, and what else means to sign or verify one thing. USAGE for half of one. */
export function parseGpgCall(argv: readonly string[]): GpgCall {
  const flags = new Set<string>();
  const operands: string[] = [];
  let statusFd: number | undefined;
  let key: string | undefined;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    const [name, inline] = splitLong(word);
    if (word === '-' || !word.startsWith('-')) operands.push(word);
    else if (word === '--') {
      operands.push(...argv.slice(i + 1));
      break;
    } else if (VALUED.includes(name)) {
      const value = inline ?? argv[++i];
      if (value === undefined) throw new UsageError(`${name} needs a value`);
      if (name === '--status-fd') statusFd = parseFd(value);
      else if (name === '--local-user') key = value;
    } else if (LONG[word] !== undefined) flags.add(LONG[word]);
    else if (/^-[bsa]*u?$/.test(word)) {
      for (const letter of word.slice(1)) flags.add(letter);
      // The key is the next word as it is, be it empty or begin with a dash.
      if (word.endsWith('u')) key = argv[++i] ?? '';
    } else return { kind: 'other' };
  }
  if (flags.has('v')) {
    const [signature, data, ...more] = operands;
    if (flags.has('s') || flags.has('b')) throw new UsageError('to sign and to verify exclude each other');
    if (signature === undefined || data === undefined || more.length > 0) return { kind: 'other' };
    return { kind: 'verify', statusFd, signature, data };
  }
  if (!flags.has('s') && !flags.has('b')) return { kind: 'other' };
  const [data = '-', ...more] = operands;
  if (more.length > 0 || !flags.has('b')) return { kind: 'other' };
  return { kind: 'sign', statusFd, key, data };
}

function splitLong(word: string): [string, string | undefined] {
  const at = word.startsWith('--') ? word.indexOf('=') : -1;
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

function parseFd(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new UsageError(`--status-fd ${text}: expected the number of a descriptor`);
  return Number(text);
}

/** True if the key is one of gpg's or gpgsm's by its form: nobody's name or address is hexadecimal throughout. */
export const isForeignKey = (key: string | undefined): boolean => /^(?:0x)?[0-9A-Fa-f]{8,64}!?$/.test(key ?? '');
