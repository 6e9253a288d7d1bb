import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import type { ErrorCode } from '../core/errors.ts';
import { serializeClientTrustConfig } from '../core/trust/client-trust-config.ts';
import { PUBLIC_GOOD } from '../core/trust/public-good.ts';
import { parseSigningConfig } from '../core/trust/signing-config.ts';
import { parseTrustedRoot } from '../core/trust/trusted-root.ts';
import type { Cli } from './cli.ts';
import { type ResolvedTrust, resolveTrust, type TrustFlags, trustOptions } from './trust-store.ts';

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
    expect(trust.age?.fetchedAt).toEqual(new Date('2026-08-01T00:00:00Z'));
  });

  test('--trust before the one in use', () => {
    storeLab();
    expect(firstLog(resolve({ trust: 'lab' }))).toBe('https://log.lab.test');
    expect(resolve().name).toBe('public-good');
  });

  test('XDG directories, but no relative ones', () => {
    storeLab();
    env = { HOME: '/nowhere', XDG_DATA_HOME: join(home, '.local/share') };
    expect(resolve({ trust: 'lab' }).name).toBe('lab');
    env = { HOME: home, XDG_DATA_HOME: 'relative' };
    expect(resolve({ trust: 'lab' }).name).toBe('lab');
  });

  test('--trusted-root comes without the signing config of the one in use', () => {
    const trust = resolve({ trustedRoot: file('r.json', LAB_ROOT) });
    expect([firstLog(trust), trust.signingConfig, trust.signingConfigRekorV2, trust.age]).toEqual([
      'https://log.lab.test',
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('--trusted-root with --trust has the signing config that was named', () => {
    const trust = resolve({ trustedRoot: file('r.json', LAB_ROOT), trust: 'public-good' });
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
    reject({ trustConfig: path, trust: 'public-good' }, 'USAGE');
    reject({ trustConfig: path, trustedRoot: path }, 'USAGE');
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
  test('unknown name', () => reject({ trust: 'none' }, 'TRUST_UNKNOWN'));
  test('name that is a path', () => reject({ trust: '../lab' }, 'USAGE'));
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
    reject({ trust: 'lab' }, 'TRUST_UNKNOWN');
  });
  test('damaged meta.json: the file is named', () => {
    storeLab({ fetchedAt: 'yesterday' });
    reject({ trust: 'lab' }, 'CONFIG_INVALID');
    expect(() => resolve({ trust: 'lab' })).toThrow('meta.json');
  });
  test('missing file', () => reject({ trustedRoot: join(home, 'none') }, 'INPUT_MISSING'));
  test('trusted root that is none: the file is named', () => {
    const path = file('x.json', '{"mediaType":"x"}');
    reject({ trustedRoot: path }, 'TRUSTED_ROOT_INVALID');
    expect(() => resolve({ trustedRoot: path })).toThrow(path);
  });
  test('signing config that is none: when it is read', () => {
    const trust = resolve({ signingConfig: file('x.json', LAB_ROOT) });
    expect(() => trust.signingConfig).toThrow(expect.objectContaining({ code: 'SIGNING_CONFIG_INVALID' }));
  });
});

test('the flags arrive under the names that resolveTrust reads', () => {
  const command = trustOptions(new Command());
  command.parse(['--trust', 'a', '--trusted-root', 'b', '--signing-config', 'c', '--trust-config', 'd'], {
    from: 'user',
  });
  expect(command.opts<TrustFlags>()).toEqual({ trust: 'a', trustedRoot: 'b', signingConfig: 'c', trustConfig: 'd' });
});
