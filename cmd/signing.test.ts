import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey, serializePrivateKey } from '../core/crypto/private-key.ts';
import { openSigning, type SigningFlags } from './signing.ts';
import { fakeCli } from './testing.ts';

const folder = mkdtempSync(join(tmpdir(), 'hallmark-signing-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const key = join(folder, 'key.pem');
writeFileSync(key, serializePrivateKey(generateKey('p256')), { mode: 0o600 });

// The TUF root of the built-in trust has expired by then.
const oldCli = () => fakeCli({ env: { HOME: folder }, now: new Date('2027-06-01T00:00:00Z') });
const flags = (more: Partial<SigningFlags>): SigningFlags => ({ oidcClientId: 'sigstore', output: 'text', ...more });

test('old trust: one warning, once it is used', async () => {
  const cli = oldCli();
  await openSigning(cli, flags({ key }));
  expect(cli.printed.err.filter((line) => line.startsWith('warning: the trust material of public-good'))).toHaveLength(
    1,
  );
  expect(cli.printed.err).toHaveLength(1);
});

test('old trust and a mistake: no warning', async () => {
  for (const mistake of [{ key: join(folder, 'none') }, { key, identityToken: 'x' }, { identityToken: 'none' }, {}]) {
    const cli = oldCli();
    await expect(openSigning(cli, flags(mistake))).rejects.toThrow();
    expect(cli.printed.err).toEqual([]);
  }
});

test('old trust and JSON output: no warning', async () => {
  const cli = oldCli();
  await openSigning(cli, flags({ key, output: 'json' }));
  expect(cli.printed.err).toEqual([]);
});
