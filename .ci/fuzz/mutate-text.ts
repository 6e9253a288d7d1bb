// Changes of text in lines: notes, PEM, tokens.
import { MAX_INPUT_BYTES, mutateBytes } from './mutate-bytes.ts';
import { mutateDer } from './mutate-der.ts';
import type { Random } from './random.ts';

const WORDS = [
  '',
  ' ',
  '\n',
  '\n\n',
  '\r\n',
  '\t',
  '\u0000',
  '\u0085',
  '\u2028',
  '— ',
  '-----',
  '=',
  '+',
  '/',
  '.',
  '0',
  '-1',
  '18446744073709551616',
  'é',
  '\u{1f600}',
];

type Mutate = (input: Uint8Array, other: Uint8Array, random: Random) => Uint8Array;

/** `within` changes what is behind base64; by default DER or any bytes. */
export function mutateText(
  input: Uint8Array,
  other: Uint8Array,
  random: Random,
  within: Mutate = mutateDerOrBytes,
): Uint8Array {
  let text = Buffer.from(input).toString();
  for (let times = 1 + random.below(3); times > 0 && text.length < MAX_INPUT_BYTES; times--)
    text = changeOnce(text, other, random, within);
  const bytes = Buffer.from(text).subarray(0, MAX_INPUT_BYTES);
  return random.oneIn(4) ? mutateBytes(bytes, other, random) : bytes;
}

const mutateDerOrBytes: Mutate = (input, other, random) =>
  (input[0] === 0x30 ? mutateDer : mutateBytes)(input, other, random);

function changeOnce(text: string, other: Uint8Array, random: Random, within: Mutate): string {
  if (random.oneIn(2)) return withBase64Changed(text, other, random, within);
  // Lines with their ends, or the parts of a token.
  const parts = text.split(random.pick([/(?<=\n)/, /(?<=\.)/, /(?<= )/]));
  const at = random.below(parts.length);
  const part = parts[at] ?? '';
  switch (random.below(6)) {
    case 0:
      return parts.toSpliced(at, 1).join('');
    case 1:
      return parts.toSpliced(at, 0, part).join('');
    case 2:
      return parts.toSpliced(at, 1, random.pick(WORDS)).join('');
    case 3: {
      const character = random.below(part.length + 1);
      return parts.toSpliced(at, 1, part.slice(0, character) + random.pick(WORDS) + part.slice(character)).join('');
    }
    case 4: {
      const others = Buffer.from(other)
        .toString()
        .split(/(?<=\n)/);
      return parts.toSpliced(at, 1, random.pick(others)).join('');
    }
    default: {
      const most = Math.floor(MAX_INPUT_BYTES / 4 / Math.max(1, part.length));
      const times = random.oneIn(60) ? most : Math.min(most, random.below(100));
      return parts.toSpliced(at, 0, part.repeat(times)).join('');
    }
  }
}

/** One run of base64, over lines as in PEM, decoded, changed and written again. */
function withBase64Changed(text: string, other: Uint8Array, random: Random, within: Mutate): string {
  // A match costs more memory than what it matches.
  const runs = text.length > 65_536 ? [] : [...text.matchAll(/[A-Za-z0-9+/_-]{4}(?:[A-Za-z0-9+/_-]|\n(?!-))*={0,2}/g)];
  if (runs.length === 0) return text;
  const { 0: run, index } = random.pick(runs);
  const isUrl = !/[+/=\n]/.test(run);
  const bytes = Buffer.from(run.replaceAll('\n', ''), isUrl ? 'base64url' : 'base64');
  const changed = Buffer.from(within(bytes, other, random)).toString(isUrl ? 'base64url' : 'base64');
  const lines = run.includes('\n') ? changed.replaceAll(/(.{64})(?=.)/g, '$1\n') : changed;
  return text.slice(0, index) + lines + (run.endsWith('\n') ? '\n' : '') + text.slice(index + run.length);
}
