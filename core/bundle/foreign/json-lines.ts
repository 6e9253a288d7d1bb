import { type Json, parseJson } from '../../bytes/json.ts';
import { InputError } from '../../errors.ts';
import { MAX_FOREIGN_BUNDLES } from '../../limits.ts';
import { type ConvertedBundle, embeddedBundle, within } from './converted.ts';

/** One bundle to a line, as `gh attestation download` writes them; empty lines are passed over. BUNDLE_INVALID, JSON_* */
export function convertJsonLines(text: string): ConvertedBundle[] {
  const converted: ConvertedBundle[] = [];
  for (const { number, line } of lines(text)) {
    if (converted.length === MAX_FOREIGN_BUNDLES) {
      throw new InputError('BUNDLE_INVALID', `more than ${MAX_FOREIGN_BUNDLES} bundles`);
    }
    const origin = `line ${number}`;
    converted.push(embeddedBundle(parseLine(line, origin), origin));
  }
  if (converted.length === 0) throw new InputError('BUNDLE_INVALID', 'no bundle: the file is empty');
  return converted;
}

const parseLine = (line: string, origin: string): Json => within(origin, () => parseJson(line));

/** True if the text has several lines, each of its own: the first is a whole JSON object. */
export function isJsonLines(text: string): boolean {
  const [first, second] = lines(text);
  if (first === undefined || second === undefined) return false;
  return first.line.startsWith('{') && first.line.endsWith('}') && second.line.startsWith('{');
}

// One line at a time: a text of line ends alone makes no array of them.
function* lines(text: string): Generator<{ number: number; line: string }, void, undefined> {
  for (let start = 0, number = 1; start < text.length; number++) {
    const found = text.indexOf('\n', start);
    const end = found < 0 ? text.length : found;
    const line = text.slice(start, end).trim();
    if (line !== '') yield { number, line };
    start = end + 1;
  }
}
