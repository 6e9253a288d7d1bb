import { Fields } from '../bytes/fields.ts';
import type { Json } from '../bytes/json.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import { predicateTypeUri } from '../dsse/predicate-types.ts';
import { InputError } from '../errors.ts';
import { MAX_POLICY_ITEMS, MAX_POLICY_KEYS, MAX_POLICY_RULES } from '../limits.ts';
import type { ExpectedIdentity } from './identity.ts';
import { exactly, glob, type Matcher } from './matcher.ts';
import { parsePattern } from './pattern.ts';
import { type ClaimRequirement, parseClaimName } from './policy-claims.ts';
import { parseCondition } from './policy-condition.ts';
import { keysOf, type Rule, type RulePolicy } from './policy-rule.ts';
import { parsePreset } from './presets.ts';

/**
 * Parses a policy (docs/policy.md): unknown members, empty rules and rules that anybody would meet are refused. `readKey`
 * turns a key as the policy writes it, PEM or the name of a file, into a key. POLICY_INVALID with the path of the member.
 */
export function parsePolicy(json: Json, readKey: (reference: string) => PublicKey): RulePolicy {
  requireNothingEmpty(json, '');
  const fields = new Fields(json, '', 'POLICY_INVALID');
  if (fields.optionalInteger('version', 0, Number.MAX_SAFE_INTEGER) !== 1) throw fields.fail('version', 'expected 1');
  const rules = fields.objects('rules', MAX_POLICY_RULES).map((rule) => parseRule(rule, readKey));
  fields.end();
  if (rules.length === 0) throw fields.fail('rules', 'missing');
  const names = new Set<string>();
  for (const [i, { name }] of rules.entries()) {
    if (names.has(name)) throw fields.fail(`rules[${i}].name`, 'another rule has it');
    names.add(name);
  }
  if (keysOf({ rules }).length > MAX_POLICY_KEYS) throw fields.fail('rules', `more than ${MAX_POLICY_KEYS} keys`);
  return { rules };
}

// In YAML a member whose value was forgotten or commented out is null. Taken for absent it would require less than it seems to.
function requireNothingEmpty(json: Json, path: string): void {
  if (typeof json === 'object' && (json === null || Object.keys(json).length === 0)) {
    throw new InputError('POLICY_INVALID', `${path || 'document'}: empty: give it a value or leave it out`);
  }
  if (typeof json !== 'object') return;
  for (const [key, value] of Object.entries(json)) {
    requireNothingEmpty(value, Array.isArray(json) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`);
  }
}

function parseRule(fields: Fields, readKey: (reference: string) => PublicKey): Rule {
  const name = fields.string('name');
  if (!/^[!-~][ -~]{0,99}$/.test(name)) throw fields.fail('name', 'expected up to 100 visible characters');
  const claims = parseClaims(fields);
  const identities = fields.objects('identities', MAX_POLICY_ITEMS).flatMap((item) => parseIdentity(item, claims));
  const keys = texts(fields, 'keys').map((text, i) => at(fields, `keys[${i}]`, () => readKey(text)));
  const predicateTypes = texts(fields, 'predicateTypes').map((text, i) =>
    at(fields, `predicateTypes[${i}]`, () => predicateTypeUri(text)),
  );
  const conditions = fields
    .objects('predicate', MAX_POLICY_ITEMS)
    .map((item) => at(item, 'glob', () => parseCondition(item)));
  fields.end();
  if (identities.length === 0 && keys.length === 0) {
    throw fields.fail('identities', 'none and no keys either, so that anybody could sign');
  }
  if (identities.length === 0 && claims.length > 0)
    throw fields.fail('claims', 'only identities have claims, keys none');
  if (predicateTypes.length === 0 && conditions.length > 0) {
    throw fields.fail('predicate', 'needs predicateTypes: what a field means depends on the type');
  }
  return { name, identities, keys, predicateTypes, conditions };
}

// Either a preset, or issuer and subject alternative name; each with claims of its own and those of the rule.
function parseIdentity(fields: Fields, ruleClaims: readonly ClaimRequirement[]): ExpectedIdentity[] {
  const claims = [...parseClaims(fields), ...ruleClaims];
  const preset = fields.optionalString('from');
  if (preset !== undefined) {
    fields.end();
    return at(fields, 'from', () => parsePreset(preset)).map((identity) => ({
      ...identity,
      claims: [...(identity.claims ?? []), ...claims],
    }));
  }
  const issuer = parseMatcher(fields, 'issuer');
  const subjectAlternativeName = parseMatcher(fields, 'subjectAlternativeName');
  fields.end();
  return [{ issuer, subjectAlternativeName, claims }];
}

function parseClaims(fields: Fields): ClaimRequirement[] {
  const claims = fields.optionalObject('claims');
  return (claims?.keys() ?? []).map((name) => ({
    claim: at(fields, 'claims', () => parseClaimName(name)),
    matcher: parseMatcher(claims as Fields, name),
  }));
}

// A text is meant exactly; {glob: ...} and {regexp: ...} say so.
function parseMatcher(fields: Fields, key: string): Matcher {
  if (typeof fields.json(key) === 'string') return exactly(nonEmpty(fields, key));
  const object = fields.object(key);
  const [kind, ...others] = object.keys();
  if (others.length > 0 || (kind !== 'glob' && kind !== 'regexp')) {
    throw fields.fail(key, 'expected a text, {glob: ...} or {regexp: ...}');
  }
  const source = nonEmpty(object, kind);
  if (kind === 'glob') return at(fields, key, () => glob(source));
  return at(fields, key, () => ({ kind: 'pattern', pattern: parsePattern(source) }));
}

function texts(fields: Fields, key: string): string[] {
  return fields.array(key, MAX_POLICY_ITEMS).map((item, i) => {
    if (typeof item !== 'string' || item === '') throw fields.fail(`${key}[${i}]`, 'expected a text');
    return item;
  });
}

function nonEmpty(fields: Fields, key: string): string {
  const text = fields.string(key);
  if (text === '') throw fields.fail(key, 'empty');
  return text;
}

// What a part cannot be parsed as says where in the policy it is.
function at<T>(fields: Fields, key: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof InputError)) throw cause;
    // It names its place already.
    if (cause.message.startsWith(`${fields.path}.`)) throw cause;
    const { message } = fields.fail(key, cause.message);
    throw new InputError('POLICY_INVALID', message, { cause, ...(cause.hint !== undefined && { hint: cause.hint }) });
  }
}
