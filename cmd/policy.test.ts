import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorOf } from '../core/testing.ts';
import { parseClaimName } from '../core/verify/policy-claims.ts';
import { readPolicy } from './policy-file.ts';

const documentation = readFileSync(join(import.meta.dir, '../docs/policy.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'hallmark-policy-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('docs/policy.md', () => {
  test('its policies are the ones that the golden script tries on real bundles', () => {
    const script = readFileSync(join(import.meta.dir, 'testdata/policy.txt'), 'utf8');
    const blocks = [...documentation.matchAll(/^```(?:yaml|json)\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);
    const policies = blocks.filter(
      (text) => text.includes('rules') && text.includes('version') && !text.includes('error'),
    );
    expect(policies).toHaveLength(2);
    for (const text of policies) expect(script).toContain(`\n${text}`);
  });

  test('lists every claim, by the name that is understood', () => {
    const [, list = ''] = /^Claims: ([\s\S]*?)\.$/m.exec(documentation) ?? [];
    const names = [...list.matchAll(/`([a-z0-9-]+)`/g)].map(([, name = '']) => name);
    for (const name of names) expect(() => parseClaimName(name)).not.toThrow();
    const { hint = '' } = errorOf(() => parseClaimName('unknown'));
    expect(names.filter((name) => name !== 'source-repository').join(', ')).toBe(hint.replace('claims: ', ''));
  });
});

describe('a policy in YAML', () => {
  const RULES = 'rules: [{name: a, identities: [{from: "github:a/b"}]}]';
  let files = 0;
  const read = (text: string, name = `${++files}.yaml`) => {
    writeFileSync(join(folder, name), text);
    return readPolicy(join(folder, name));
  };

  test.each([
    ['plain', `version: 1\n${RULES}\n`],
    ['with comments and CR LF', `# policy\r\nversion: 1 # one\r\n${RULES}\r\n`],
    [
      'as a JSON document',
      `{"version": 1, ${RULES.replace(/(\w+):(?= )/g, '"$1":').replace('"name": a', '"name": "a"')}}`,
    ],
  ])('%s', (_, text) => {
    expect(read(text).rules).toHaveLength(1);
  });

  test('under any name', () => {
    expect(read(`version: 1\n${RULES}`, 'policy').rules).toHaveLength(1);
    expect(read(`{version: 1, ${RULES}}`, 'flow.yml').rules).toHaveLength(1);
  });

  test.each([
    ['nothing', ''],
    ['a text', 'version'],
    ['a merge key', `base: &b {version: 1}\n<<: *b\n${RULES}`],
    ['an anchor that is used', `version: &v 1\n${RULES}\nagain: *v`],
    ['a tag for binary', `version: 1\n${RULES.replace('"github:a/b"', '!!binary Z2l0aHViOmEvYg==')}`],
    ['a key that is a list', `version: 1\n${RULES}\n? [a]\n: 1`],
    ['a duplicate key in a rule', 'version: 1\nrules: [{name: a, name: b, identities: [{from: "github:a/b"}]}]'],
    ['a duplicate key in quotes', `version: 1\n"version": 1\n${RULES}`],
    ['a duplicate of a member of every object', `version: 1\n__proto__: 1\n__proto__: 1\n${RULES}`],
    ['a member of every object', `version: 1\n__proto__: {version: 1}\n${RULES}`],
    ['a text for the version', `version: "1"\n${RULES}`],
    ['an indentation that is none', `version: 1\n\trules: []`],
    ['text that ends within quotes', `version: 1\n${RULES}\na: "b`],
    ['lists nested too deep', `version: 1\nrules: ${'['.repeat(20_000)}`],
    ['a million aliases', `a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: [*b,*b,*b]\nversion: 1\n${RULES}`],
  ])('refused: %s', (_, text) => {
    expect(errorOf(() => read(text)).code).toBe('POLICY_INVALID');
  });

  test('a policy that is not text, or too large', () => {
    writeFileSync(join(folder, 'binary.yaml'), Uint8Array.of(0xff, 0xfe));
    expect(errorOf(() => readPolicy(join(folder, 'binary.yaml'))).code).toBe('ENCODING_INVALID');
    writeFileSync(join(folder, 'large.yaml'), Buffer.alloc(4 * 1024 * 1024 + 1, '#'));
    expect(errorOf(() => readPolicy(join(folder, 'large.yaml'))).code).toBe('INPUT_TOO_LARGE');
    const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}: 1\n`).join('');
    expect(errorOf(() => read(`version: 1\n${keys}`)).code).toBe('INPUT_TOO_LARGE');
    expect(errorOf(() => read(`{"version": 1,${' '.repeat(64 * 1024)}"k": 1}`, 'long.json')).code).toBe(
      'POLICY_INVALID',
    );
  });

  test('what is wrong is said with its place', () => {
    expect(errorOf(() => read('version: 1\n\trules: []')).message).toMatch(
      /: not usable YAML: .* at line 2, column 1$/,
    );
    expect(errorOf(() => read(`version: 1\nversion: 1\n${RULES}`)).message).toEndWith(
      'Map keys must be unique at line 2, column 1',
    );
  });

  test('key files are those beside the policy', () => {
    const text = JSON.stringify({ version: 1, rules: [{ name: 'a', keys: ['release.pub'] }] });
    expect(errorOf(() => read(text, 'keys.json')).message).toContain(join(folder, 'release.pub'));
  });
});
