import { InputError } from '../errors.ts';
import { MAX_PATTERN_CHARS, MAX_PATTERN_STATES, MAX_PATTERN_TEXT_CHARS } from '../limits.ts';
import { type CharacterSet, includes, type PatternNode, parsePatternSyntax } from './pattern-syntax.ts';

/** A compiled regular expression or glob that matches whole texts only. */
export interface Pattern {
  readonly source: string;
  /** True if the whole text matches. Time is linear in the text, whatever the pattern. */
  matches(text: string): boolean;
}

type State =
  | { readonly kind: 'character'; readonly set: CharacterSet; readonly next: number }
  | { readonly kind: 'split'; readonly next: readonly number[] }
  | { readonly kind: 'start' | 'end'; readonly next: number }
  | { readonly kind: 'accept' };

/**
 * Compiles a regular expression (the subset of RE2 in pattern-syntax.ts) as if written `^(?:...)$`. An automaton is
 * simulated (Thompson 1968) instead of backtracking, so no pattern and no text can make it run away. POLICY_INVALID.
 */
export function parsePattern(source: string): Pattern {
  if (source.length > MAX_PATTERN_CHARS) {
    throw new InputError('POLICY_INVALID', `regular expression longer than ${MAX_PATTERN_CHARS} characters`);
  }
  return compilePattern(source, parsePatternSyntax(source));
}

/** The pattern that `node` describes; `source` is what it was written as. POLICY_INVALID if it is too large. */
export function compilePattern(source: string, node: PatternNode): Pattern {
  const states: State[] = [{ kind: 'accept' }];
  const start = compile(node, 0, states);
  return { source, matches: (text) => text.length <= MAX_PATTERN_TEXT_CHARS && run(states, start, text) };
}

// Adds the states of `node` that lead on to state `next`; returns the first of them.
function compile(node: PatternNode, next: number, states: State[]): number {
  switch (node.kind) {
    case 'character':
      return add(states, { kind: 'character', set: node.set, next });
    case 'start':
    case 'end':
      return add(states, { kind: node.kind, next });
    case 'sequence':
      return node.items.reduceRight((after, item) => compile(item, after, states), next);
    case 'choice':
      return add(states, { kind: 'split', next: node.items.map((item) => compile(item, next, states)) });
    case 'repeat': {
      let after = next;
      if (node.max === undefined) {
        const exits = [next];
        after = add(states, { kind: 'split', next: exits });
        exits.unshift(compile(node.item, after, states));
      } else {
        for (let i = node.min; i < node.max; i++) {
          after = add(states, { kind: 'split', next: [compile(node.item, after, states), next] });
        }
      }
      for (let i = 0; i < node.min; i++) after = compile(node.item, after, states);
      return after;
    }
  }
}

function add(states: State[], state: State): number {
  if (states.length >= MAX_PATTERN_STATES) {
    throw new InputError('POLICY_INVALID', 'pattern too large after its repetitions are written out');
  }
  return states.push(state) - 1;
}

function run(states: readonly State[], start: number, text: string): boolean {
  const characters = Array.from(text, (character) => character.codePointAt(0) as number);
  let current = new Set<number>();
  follow(states, start, 0, characters.length, current);
  for (const [at, character] of characters.entries()) {
    if (current.size === 0) return false;
    const reached = new Set<number>();
    for (const index of current) {
      const state = states[index] as State;
      if (state.kind === 'character' && includes(state.set, character)) {
        follow(states, state.next, at + 1, characters.length, reached);
      }
    }
    current = reached;
  }
  return current.has(0);
}

// Adds every state reachable from `from` without reading a character, before character number `at` of `length`.
function follow(states: readonly State[], from: number, at: number, length: number, reached: Set<number>): void {
  const pending = [from];
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    if (reached.has(index)) continue;
    reached.add(index);
    const state = states[index] as State;
    if (state.kind === 'split') pending.push(...state.next);
    else if (state.kind === 'start' && at === 0) pending.push(state.next);
    else if (state.kind === 'end' && at === length) pending.push(state.next);
  }
}
