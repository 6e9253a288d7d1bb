import { InputError } from '../errors.ts';
import { MAX_PATTERN_DEPTH, MAX_PATTERN_REPEAT } from '../limits.ts';

/** Code points lo..hi, both included. */
type CharacterRange = readonly [lo: number, hi: number];
export interface CharacterSet {
  readonly negated: boolean;
  readonly ranges: readonly CharacterRange[];
}

export type PatternNode =
  | { readonly kind: 'character'; readonly set: CharacterSet }
  | { readonly kind: 'start' | 'end' }
  | { readonly kind: 'sequence' | 'choice'; readonly items: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly item: PatternNode; readonly min: number; readonly max: number | undefined };

export function includes(set: CharacterSet, character: number): boolean {
  return set.ranges.some(([lo, hi]) => lo <= character && character <= hi) !== set.negated;
}

const one = (character: string): CharacterRange => [
  character.codePointAt(0) as number,
  character.codePointAt(0) as number,
];
const range = (lo: string, hi: string): CharacterRange => [lo.codePointAt(0) as number, hi.codePointAt(0) as number];

const LAST_CODE_POINT = 0x10ffff;
/** The classes that are written with a backslash, as RE2 defines them (ASCII only). */
const CLASSES: Record<string, readonly CharacterRange[]> = {
  d: [range('0', '9')],
  w: [range('0', '9'), range('A', 'Z'), one('_'), range('a', 'z')],
  s: [range('\t', '\n'), range('\f', '\r'), one(' ')],
};
const CONTROLS: Record<string, string> = { n: '\n', r: '\r', t: '\t', f: '\f', v: '\v' };
const SUPPORTED = 'supported: literals . [..] \\d \\w \\s ( ) (?: ) | * + ? {n,m} ^ $';

/**
 * Parses the syntax that RE2 and ECMAScript agree on: literals, `.`, classes, groups, alternation, repetition (lazy forms
 * mean the same here), `^` and `$`. Back-references, look-around, flags and named groups are refused. POLICY_INVALID.
 */
export function parsePatternSyntax(source: string): PatternNode {
  const reader = new Reader(source);
  const node = choice(reader, 0);
  if (reader.peek() !== undefined) throw reader.fail('unmatched )');
  return node;
}

class Reader {
  readonly #characters: readonly string[];
  #at = 0;
  constructor(source: string) {
    this.#characters = Array.from(source);
  }
  peek(ahead = 0): string | undefined {
    return this.#characters[this.#at + ahead];
  }
  next(): string {
    const character = this.#characters[this.#at++];
    if (character === undefined) throw this.fail('it ends too early');
    return character;
  }
  take(expected: string): boolean {
    const taken = this.#characters.slice(this.#at, this.#at + expected.length).join('') === expected;
    if (taken) this.#at += expected.length;
    return taken;
  }
  fail(problem: string): InputError {
    return new InputError('POLICY_INVALID', `regular expression not usable at character ${this.#at}: ${problem}`, {
      hint: SUPPORTED,
    });
  }
}

function choice(reader: Reader, depth: number): PatternNode {
  if (depth > MAX_PATTERN_DEPTH) throw reader.fail('groups nested too deep');
  const items = [sequence(reader, depth)];
  while (reader.take('|')) items.push(sequence(reader, depth));
  return items.length === 1 ? (items[0] as PatternNode) : { kind: 'choice', items };
}

function sequence(reader: Reader, depth: number): PatternNode {
  const items: PatternNode[] = [];
  for (let c = reader.peek(); c !== undefined && c !== '|' && c !== ')'; c = reader.peek()) {
    items.push(repetition(reader, atom(reader, depth)));
  }
  return { kind: 'sequence', items };
}

function repetition(reader: Reader, item: PatternNode): PatternNode {
  const bounds = repeatBounds(reader);
  if (bounds === undefined) return item;
  if (item.kind === 'start' || item.kind === 'end') throw reader.fail('^ or $ repeated');
  reader.take('?');
  if (repeatBounds(reader) !== undefined) throw reader.fail('a repetition of a repetition');
  return { kind: 'repeat', item, ...bounds };
}

function repeatBounds(reader: Reader): { min: number; max: number | undefined } | undefined {
  if (reader.take('*')) return { min: 0, max: undefined };
  if (reader.take('+')) return { min: 1, max: undefined };
  if (reader.take('?')) return { min: 0, max: 1 };
  if (!reader.take('{')) return undefined;
  const min = count(reader);
  let max: number | undefined = min;
  if (reader.take(',')) max = reader.peek() === '}' ? undefined : count(reader);
  if (!reader.take('}')) throw reader.fail('expected {n}, {n,} or {n,m} (write \\{ for the character)');
  if (max !== undefined && max < min) throw reader.fail('repetition bounds out of order');
  return { min, max };
}

function count(reader: Reader): number {
  let digits = '';
  while (/^[0-9]$/.test(reader.peek() ?? '') && digits.length < 5) digits += reader.next();
  if (digits === '') throw reader.fail('expected a number');
  const value = Number(digits);
  if (value > MAX_PATTERN_REPEAT) throw reader.fail(`repetition above ${MAX_PATTERN_REPEAT}`);
  return value;
}

function atom(reader: Reader, depth: number): PatternNode {
  const character = reader.next();
  switch (character) {
    case '(': {
      if (!reader.take('?:') && reader.peek() === '?') throw reader.fail('look-around, flags and named groups');
      const node = choice(reader, depth + 1);
      if (!reader.take(')')) throw reader.fail('unmatched (');
      return node;
    }
    case '[':
      return { kind: 'character', set: characterClass(reader) };
    case '.':
      return { kind: 'character', set: { negated: true, ranges: [one('\n')] } };
    case '^':
      return { kind: 'start' };
    case '$':
      return { kind: 'end' };
    case '\\':
      return { kind: 'character', set: classEscape(reader) };
    case '*':
    case '+':
    case '?':
    case '{':
      throw reader.fail(`nothing to repeat before ${character}`);
    default:
      return { kind: 'character', set: { negated: false, ranges: [one(character)] } };
  }
}

function classEscape(reader: Reader): CharacterSet {
  const character = reader.next();
  const ranges = CLASSES[character.toLowerCase()];
  if (ranges !== undefined) return { negated: character !== character.toLowerCase(), ranges };
  const control = CONTROLS[character];
  if (control !== undefined) return { negated: false, ranges: [one(control)] };
  if (/^[0-9A-Za-z]$/.test(character)) throw reader.fail(`\\${character} has no meaning here`);
  return { negated: false, ranges: [one(character)] };
}

function characterClass(reader: Reader): CharacterSet {
  const negated = reader.take('^');
  const ranges: CharacterRange[] = [];
  // RE2 and ECMAScript read a first `]` differently.
  if (reader.peek() === ']') throw reader.fail('empty class (write \\] for the character)');
  while (!reader.take(']')) {
    if (reader.peek() === '[') throw reader.fail('[ inside a class (write \\[ for the character)');
    const from = classItem(reader);
    if (reader.peek() === '-' && reader.peek(1) !== ']') {
      reader.next();
      const to = classItem(reader);
      const [lo, hi] = [single(reader, from), single(reader, to)];
      if (hi < lo) throw reader.fail('class range out of order');
      ranges.push([lo, hi]);
    } else ranges.push(...(from.negated ? complement(from.ranges) : from.ranges));
  }
  return { negated, ranges };
}

function classItem(reader: Reader): CharacterSet {
  const character = reader.next();
  return character === '\\' ? classEscape(reader) : { negated: false, ranges: [one(character)] };
}

function single(reader: Reader, set: CharacterSet): number {
  const [only] = set.ranges;
  if (set.negated || set.ranges.length !== 1 || only === undefined || only[0] !== only[1]) {
    throw reader.fail('a class range needs single characters');
  }
  return only[0];
}

// The tables above are in ascending order without overlap.
function complement(ranges: readonly CharacterRange[]): CharacterRange[] {
  const out: CharacterRange[] = [];
  let from = 0;
  for (const [lo, hi] of ranges) {
    if (from < lo) out.push([from, lo - 1]);
    from = hi + 1;
  }
  return [...out, [from, LAST_CODE_POINT]];
}
