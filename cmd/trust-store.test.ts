import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import type { Bundle } from '../core/bundle/bundle.ts';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import type { ErrorCode } from '../core/errors.ts';
import { serializeClientTrustConfig } from '../core/trust/client-trust-config.ts';
import { PUBLIC_GOOD } from '../core/trust/public-good.ts';
import { parseSigningConfig } from '../core/trust/signing-config.ts';
import { parseTrustedRoot } from '../core/trust/trusted-root.ts';
import type { Cli } from './cli.ts';
import { type ResolvedTrust, resolveTrust, type TrustFlags, trustJson, trustOptions } from './trust-store.ts';

const base = mkdtempSync(join(tmpdir(), 'hallmark-store-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let home = '';
let now = new Date('2026-09-01T00:00:00Z');
let env: Record<string, string> = {};
beforeEach(() => {
  home = mkdtempSync(join(base, 'home-'));
  now = new Date('2026-09-01T00:00:00Z');
  env = { HOME: home };
});

const cli = {
  env: (name: string) => env[name],
  now: () => now,
  fetch: () => Promise.reject(new Error('network used')),
} as unknown as Cli;
const resolve = (flags: TrustFlags = {}): ResolvedTrust => resolveTrust(cli, flags);
const reject = (flags: TrustFlags, code: ErrorCode): void =>
  expect(() => resolve(flags)).toThrow(expect.objectContaining({ code }));

function file(name: string, content: string): string {
  const path = join(home, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

const LAB_ROOT = PUBLIC_GOOD.trustedRoot.replace('https://rekor.sigstore.dev', 'https://log.lab.test');
const LAB_CONFIG = PUBLIC_GOOD.signingConfig.replace('https://fulcio.sigstore.dev', 'https://ca.lab.test');
const firstLog = (trust: ResolvedTrust): string | undefined => trust.trustedRoot.tlogs[0]?.baseUrl;
const firstCa = (trust: ResolvedTrust): string | undefined => trust.signingConfig?.caUrls[0]?.url;

function storeLab(meta: Record<string, unknown> = {}, name = 'lab'): void {
  const folder = join('.local/share/hallmark/trust', name);
  const all = { fingerprint: 'sha256:00', fetchedAt: '2026-08-01T00:00:00Z', ...meta };
  file(join(folder, 'meta.json'), JSON.stringify(all));
  file(join(folder, 'trusted_root.json'), LAB_ROOT);
  file(join(folder, 'signing_config.v0.2.json'), LAB_CONFIG);
}

describe('resolveTrust', () => {
  test('nothing chosen: public-good, built in, both signing configs', () => {
    const trust = resolve();
    expect([trust.name, firstLog(trust), firstCa(trust)]).toEqual([
      'public-good',
      'https://rekor.sigstore.dev',
      'https://fulcio.sigstore.dev',
    ]);
    expect(trust.signingConfigRekorV2?.rekorTlogUrls.length).toBe(2);
    expect(trust.warnings).toEqual([]);
  });

  test('no home at all: public-good', () => {
    env = {};
    expect(resolve().name).toBe('public-good');
  });

  test('the one in use', () => {
    storeLab();
    file('.config/hallmark/trust.json', '{"use":"lab"}');
    const trust = resolve();
    expect([trust.name, firstLog(trust), firstCa(trust)]).toEqual([
      'lab',
      'https://log.lab.test',
      'https://ca.lab.test',
    ]);
    expect(trust.signingConfigRekorV2).toBeUndefined();
    expect(trust.sources[0].age?.fetchedAt).toEqual(new Date('2026-08-01T00:00:00Z'));
  });

  test('--trust before the one in use', () => {
    storeLab();
    expect(firstLog(resolve({ trust: ['lab'] }))).toBe('https://log.lab.test');
    expect(resolve().name).toBe('public-good');
  });

  test('XDG directories, but no relative ones', () => {
    storeLab();
    env = { HOME: '/nowhere', XDG_DATA_HOME: join(home, '.local/share') };
    expect(resolve({ trust: ['lab'] }).name).toBe('lab');
    env = { HOME: home, XDG_DATA_HOME: 'relative' };
    expect(resolve({ trust: ['lab'] }).name).toBe('lab');
  });

  test('--trusted-root comes without the signing config of the one in use', () => {
    const trust = resolve({ trustedRoot: [file('r.json', LAB_ROOT)] });
    expect([firstLog(trust), trust.signingConfig, trust.signingConfigRekorV2, trust.sources[0].age]).toEqual([
      'https://log.lab.test',
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('--trusted-root with --trust has the signing config that was named', () => {
    const trust = resolve({ trustedRoot: [file('r.json', LAB_ROOT)], trust: ['public-good'] });
    expect([firstLog(trust), firstCa(trust)]).toEqual(['https://log.lab.test', 'https://fulcio.sigstore.dev']);
  });

  test('--signing-config replaces both signing configs', () => {
    const trust = resolve({ signingConfig: file('s.json', LAB_CONFIG) });
    expect([firstLog(trust), firstCa(trust), trust.signingConfigRekorV2]).toEqual([
      'https://rekor.sigstore.dev',
      'https://ca.lab.test',
      undefined,
    ]);
  });

  test('--trust-config gives both', () => {
    const config = serializeClientTrustConfig({
      trustedRoot: parseTrustedRoot(serializeUtf8(LAB_ROOT)),
      signingConfig: parseSigningConfig(serializeUtf8(LAB_CONFIG)),
    });
    const path = file('c.json', config);
    const trust = resolve({ trustConfig: path });
    expect([firstLog(trust), firstCa(trust)]).toEqual(['https://log.lab.test', 'https://ca.lab.test']);
    reject({ trustConfig: path, trust: ['public-good'] }, 'USAGE');
    reject({ trustConfig: path, trustedRoot: [path] }, 'USAGE');
  });

  test('expired TUF root: a warning with the age, not a refusal', () => {
    now = new Date('2026-12-01T00:00:00Z');
    const { warnings } = resolve();
    expect(warnings.length).toBe(1);
    expect(warnings[0]).toContain('101 days old');
    expect(warnings[0]).toContain('hallmark trust update public-good');
  });

  test('stored public-good: taken if it is not older than what is built in', () => {
    storeLab({ url: 'https://x', targetsVersion: PUBLIC_GOOD.targetsVersion + 1 }, 'public-good');
    expect(firstLog(resolve())).toBe('https://log.lab.test');
    storeLab({ url: 'https://x', targetsVersion: PUBLIC_GOOD.targetsVersion - 1 }, 'public-good');
    expect(firstLog(resolve())).toBe('https://rekor.sigstore.dev');
  });
});

describe('rejections', () => {
  test('unknown name', () => reject({ trust: ['none'] }, 'TRUST_UNKNOWN'));
  test('name that is a path', () => reject({ trust: ['../lab'] }, 'USAGE'));
  test('the one in use was removed by hand', () => {
    file('.config/hallmark/trust.json', '{"use":"gone"}');
    reject({}, 'TRUST_UNKNOWN');
  });
  test('damaged choice of the one in use is not public-good', () => {
    file('.config/hallmark/trust.json', '{"use":');
    reject({}, 'JSON_INVALID');
    file('.config/hallmark/trust.json', '{"use":"../../x"}');
    reject({}, 'USAGE');
  });
  test('trusted root lost from the store', () => {
    storeLab();
    rmSync(join(home, '.local/share/hallmark/trust/lab/trusted_root.json'));
    reject({ trust: ['lab'] }, 'TRUST_UNKNOWN');
  });
  test('damaged meta.json: the file is named', () => {
    storeLab({ fetchedAt: 'yesterday' });
    reject({ trust: ['lab'] }, 'CONFIG_INVALID');
    expect(() => resolve({ trust: ['lab'] })).toThrow('meta.json');
  });
  test('missing file', () => reject({ trustedRoot: [join(home, 'none')] }, 'INPUT_MISSING'));
  test('trusted root that is none: the file is named', () => {
    const path = file('x.json', '{"mediaType":"x"}');
    reject({ trustedRoot: [path] }, 'TRUSTED_ROOT_INVALID');
    expect(() => resolve({ trustedRoot: [path] })).toThrow(path);
  });
  test('signing config that is none: when it is read', () => {
    const trust = resolve({ signingConfig: file('x.json', LAB_ROOT) });
    expect(() => trust.signingConfig).toThrow(expect.objectContaining({ code: 'SIGNING_CONFIG_INVALID' }));
  });
});

describe('--max-trust-age', () => {
  test('as old as that is young enough, a minute more is not', () => {
    storeLab({ url: 'https://x' });
    const age = now.getTime() - new Date('2026-08-01T00:00:00Z').getTime();
    expect(age).toBe(31 * 86_400_000);
    expect(resolve({ trust: ['lab'], maxTrustAge: '31d' }).name).toBe('lab');
    now = new Date(now.getTime() + 1);
    reject({ trust: ['lab'], maxTrustAge: '31d' }, 'TRUST_TOO_OLD');
  });
  test('too old: the remedy', () => {
    storeLab();
    expect(() => resolve({ trust: ['lab'], maxTrustAge: '12h' })).toThrow(
      expect.objectContaining({ hint: 'hallmark trust update lab' }),
    );
  });
  test('built-in trust has an age too', () => reject({ maxTrustAge: '1d' }, 'TRUST_TOO_OLD'));
  test('one of several is too old', () => {
    storeLab({ fetchedAt: '2026-09-01T00:00:00Z' });
    expect(resolve({ trust: ['lab'], maxTrustAge: '1d' }).name).toBe('lab');
    reject({ trust: ['lab', 'public-good'], maxTrustAge: '1d' }, 'TRUST_TOO_OLD');
  });
  test.each(['', '1', '0d', '-1d', '1.5d', '1y', '30 d', '1d12h', '9999999d'])('not a duration: %j', (maxTrustAge) =>
    reject({ maxTrustAge }, 'USAGE'),
  );
  test('the age of a file is not known', () => {
    reject({ trustedRoot: [file('r.json', LAB_ROOT)], maxTrustAge: '1d' }, 'USAGE');
    reject({ trustConfig: 'c.json', maxTrustAge: '1d' }, 'USAGE');
  });
});

test('with --output json the age is in the result, not in a warning', () => {
  now = new Date('2026-12-01T00:00:00Z');
  const { warnings, sources } = resolve({ output: 'json' });
  expect(warnings).toEqual([]);
  expect(trustJson(sources[0])).toEqual({
    name: 'public-good',
    fetchedAt: '2026-08-22T00:00:00Z',
    ageDays: 101,
    rootExpires: '2026-11-20T13:58:18Z',
  });
});

describe('several trusted roots', () => {
  const KEY_BUNDLE = { material: { kind: 'publicKey', hint: '' }, tlogEntries: [] } as unknown as Bundle;

  test('stored instances and the lines of a file', () => {
    storeLab();
    expect(resolve({ trust: ['lab', 'public-good', 'lab'] }).sources.map(({ name }) => name)).toEqual([
      'lab',
      'public-good',
    ]);
    const lines = `${JSON.stringify(JSON.parse(LAB_ROOT))}\n${JSON.stringify(JSON.parse(PUBLIC_GOOD.trustedRoot))}\n`;
    const path = file('r.jsonl', lines);
    const { sources } = resolve({ trustedRoot: [path, file('one.json', LAB_ROOT)] });
    expect(sources.map(({ name }) => name)).toEqual([`${path} (1 of 2)`, `${path} (2 of 2)`, join(home, 'one.json')]);
    expect(sources.map(({ trustedRoot }) => trustedRoot.tlogs[0]?.baseUrl)).toEqual([
      'https://log.lab.test',
      'https://rekor.sigstore.dev',
      'https://log.lab.test',
    ]);
  });
  test('a command that needs one: USAGE', () => {
    storeLab();
    const trust = resolve({ trust: ['lab', 'public-good'] });
    const usage = expect.objectContaining({ code: 'USAGE' });
    expect(() => trust.trustedRoot).toThrow(usage);
    expect(() => trust.signingConfig).toThrow(usage);
    expect(() => trust.signingConfigRekorV2).toThrow(usage);
  });
  test('the source of a bundle: the only one without asking, else by choice', () => {
    storeLab();
    expect(resolve().sourceFor(KEY_BUNDLE).name).toBe('public-good');
    expect(() => resolve({ trust: ['lab', 'public-good'] }).sourceFor(KEY_BUNDLE)).toThrow(
      expect.objectContaining({ code: 'TRUST_AMBIGUOUS' }),
    );
  });
  test('too many', () => {
    const line = JSON.stringify(JSON.parse(LAB_ROOT));
    const path = file('r.jsonl', Array(20).fill(line).join('\n'));
    reject({ trustedRoot: [path, path] }, 'USAGE');
    reject({ trustedRoot: [file('more.jsonl', Array(33).fill(line).join('\n'))] }, 'TRUSTED_ROOT_INVALID');
  });
});

test('the flags arrive under the names that resolveTrust reads', () => {
  const command = trustOptions(new Command());
  const argv = ['--trust', 'a', '--trust', 'b', '--trusted-root', 'c', '--signing-config', 'd', '--trust-config', 'e'];
  command.parse([...argv, '--max-trust-age', '1d'], { from: 'user' });
  expect(command.opts<TrustFlags>()).toEqual({
    trust: ['a', 'b'],
    trustedRoot: ['c'],
    signingConfig: 'd',
    trustConfig: 'e',
    maxTrustAge: '1d',
  });
});
