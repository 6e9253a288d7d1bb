import { InputError } from '../errors.ts';
import { MAX_PATTERN_CHARS } from '../limits.ts';
import { compilePattern, type Pattern } from './pattern.ts';
import type { CharacterSet, PatternNode } from './pattern-syntax.ts';

/** What a value has to be: equal to a text, or matched as a whole by a pattern. */
export type Matcher =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'pattern'; readonly pattern: Pattern };

export function isMatch(matcher: Matcher, text: string): boolean {
  return matcher.kind === 'exact' ? matcher.value === text : matcher.pattern.matches(text);
}

/** What the matcher was written as, to be shown. */
export function matcherText(matcher: Matcher): string {
  return matcher.kind === 'exact' ? matcher.value : matcher.pattern.source;
}

export const exactly = (value: string): Matcher => ({ kind: 'exact', value });

/**
 * A glob: `*` stands for any characters but `/`, `**` for any at all, every other character for itself. It matches whole
 * texts only, in linear time. POLICY_INVALID
 */
export function glob(source: string): Matcher {
  if (source === '') throw new InputError('POLICY_INVALID', 'an empty glob');
  if (source.length > MAX_PATTERN_CHARS) {
    throw new InputError('POLICY_INVALID', `glob longer than ${MAX_PATTERN_CHARS} characters`);
  }
  const items = (source.match(/\*+|[^*]+/g) ?? []).flatMap((part): PatternNode[] => {
    if (!part.startsWith('*')) return literal(part);
    if (part.length > 2) throw new InputError('POLICY_INVALID', `${part} in a glob: * or ** is meant`);
    return [part === '*' ? WITHIN_SEGMENT : ANYTHING];
  });
  return pattern(source, items);
}

/** A matcher from parts one after the other; `source` says what it matches, to be shown. */
export function pattern(source: string, items: readonly PatternNode[]): Matcher {
  return { kind: 'pattern', pattern: compilePattern(source, { kind: 'sequence', items }) };
}

const anyNumberOf = (set: CharacterSet): PatternNode => ({
  kind: 'repeat',
  item: { kind: 'character', set },
  min: 0,
  max: undefined,
});

const WITHIN_SEGMENT = anyNumberOf({ negated: true, ranges: [[0x2f, 0x2f]] });
/** Any text, the empty one too. */
export const ANYTHING = anyNumberOf({ negated: true, ranges: [] });

const oneOf = (...characters: readonly string[]): PatternNode => ({
  kind: 'character',
  set: {
    negated: false,
    ranges: characters.map((character) => [character.codePointAt(0) as number, character.codePointAt(0) as number]),
  },
});

/** This text. */
export const literal = (text: string): PatternNode[] => Array.from(text, (character) => oneOf(character));

/** This text in ASCII, in upper or lower case. */
export const literalIgnoringCase = (text: string): PatternNode[] =>
  Array.from(text, (character) => oneOf(character.toLowerCase(), character.toUpperCase()));
