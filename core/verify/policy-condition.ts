import type { Fields } from '../bytes/fields.ts';
import type { Json } from '../bytes/json.ts';
import { MAX_POLICY_ITEMS, MAX_POLICY_PATH_STEPS } from '../limits.ts';
import { glob, isMatch, type Matcher } from './matcher.ts';

type Scalar = string | number | boolean;

/** What one field of a predicate has to be. `path` is a JSON Pointer (RFC 6901). */
export interface Condition {
  readonly path: string;
  readonly steps: readonly string[];
  readonly test:
    | { readonly kind: 'in'; readonly values: readonly Scalar[] }
    | { readonly kind: 'glob'; readonly matcher: Matcher; readonly source: string }
    | { readonly kind: 'exists'; readonly wanted: boolean };
}

/** Parses `{path, equals | in | glob | exists}`: exactly one test. POLICY_INVALID */
export function parseCondition(fields: Fields): Condition {
  const path = fields.string('path');
  const steps = parsePointer(path, fields);
  const tests = ['equals', 'in', 'glob', 'exists'].filter((name) => fields.has(name));
  if (tests.length !== 1) throw fields.fail('path', 'needs exactly one of equals, in, glob, exists beside it');
  const test = parseTest(fields, tests[0] as string);
  fields.end();
  return { path, steps, test };
}

function parseTest(fields: Fields, name: string): Condition['test'] {
  switch (name) {
    case 'equals':
      return { kind: 'in', values: [parseScalar(fields, name, fields.json(name))] };
    case 'in':
      return {
        kind: 'in',
        values: fields.array(name, MAX_POLICY_ITEMS).map((value) => parseScalar(fields, name, value)),
      };
    case 'glob': {
      const source = fields.string(name);
      return { kind: 'glob', matcher: glob(source), source };
    }
    default:
      return { kind: 'exists', wanted: fields.optionalBoolean(name) === true };
  }
}

// A larger number would also equal its neighbours, as JSON is read with 53 bits here as elsewhere.
function parseScalar(fields: Fields, key: string, value: Json | undefined): Scalar {
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw fields.fail(key, 'expected a text, true, false or a whole number up to 2^53');
}

// RFC 6901 §3: / before each step; ~1 is /, ~0 is ~.
function parsePointer(path: string, fields: Fields): string[] {
  const [before, ...steps] = path.split('/');
  if (before !== '' || steps.length === 0)
    throw fields.fail('path', 'expected /step/step, as /buildDefinition/buildType');
  if (steps.length > MAX_POLICY_PATH_STEPS) throw fields.fail('path', `more than ${MAX_POLICY_PATH_STEPS} steps`);
  return steps.map((step) => {
    if (/~(?![01])/.test(step)) throw fields.fail('path', '~ is written ~0');
    return step.replaceAll('~1', '/').replaceAll('~0', '~');
  });
}

/** Why the predicate does not meet the condition; undefined if it does. */
export function unmetCondition({ path, steps, test }: Condition, predicate: Json): string | undefined {
  const found = valueAt(predicate, steps);
  if (test.kind === 'exists') {
    if ((found !== undefined) === test.wanted) return undefined;
    return `${path} is ${test.wanted ? 'not there' : 'there'}`;
  }
  if (found === undefined) return `${path} is not there`;
  const met = test.kind === 'in' ? test.values.some((value) => value === found) : isGlobMatch(test.matcher, found);
  if (met) return undefined;
  const wanted = test.kind === 'in' ? test.values.map((value) => JSON.stringify(value)).join(' or ') : test.source;
  return `${path} is ${shown(found)}, not ${wanted}`;
}

const isGlobMatch = (matcher: Matcher, found: Json): boolean => typeof found === 'string' && isMatch(matcher, found);

// Own members only, and array elements by their canonical index (RFC 6901 §4).
function valueAt(predicate: Json, steps: readonly string[]): Json | undefined {
  let at: Json | undefined = predicate;
  for (const step of steps) {
    if (at === null || typeof at !== 'object') return undefined;
    if (Array.isArray(at)) at = /^(?:0|[1-9][0-9]{0,8})$/.test(step) ? at[Number(step)] : undefined;
    else at = Object.hasOwn(at, step) ? at[step] : undefined;
    if (at === undefined) return undefined;
  }
  return at;
}

const SHOWN_CHARS = 200;

function shown(value: Json): string {
  if (value !== null && typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object';
  const text = JSON.stringify(value);
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}...` : text;
}
