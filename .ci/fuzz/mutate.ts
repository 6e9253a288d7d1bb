import { mutateBytes } from './mutate-bytes.ts';
import { mutateDer } from './mutate-der.ts';
import { mutateJson } from './mutate-json.ts';
import { mutateText } from './mutate-text.ts';
import type { Parser } from './parsers.ts';
import type { Random } from './random.ts';

const MUTATORS = {
  der: mutateDer,
  json: mutateJson,
  text: mutateText,
  token: (input: Uint8Array, other: Uint8Array, random: Random) => mutateText(input, other, random, mutateJson),
} as const;

/** One of the seeds, changed by what is known of its format, or without. */
export function mutate(shape: Parser['shape'], seeds: readonly Uint8Array[], random: Random): Uint8Array {
  const change = random.oneIn(5) ? mutateBytes : MUTATORS[shape];
  return change(random.pick(seeds), random.pick(seeds), random);
}
