import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { sha256 } from '../crypto/hash.ts';
import { PUBLIC_GOOD } from './public-good.ts';
import { parseSigningConfig } from './signing-config.ts';
import { parseTrustedRoot, requireWellFormed } from './trusted-root.ts';
import { parseRoot, parseTargets, verifyMetadata } from './tuf/metadata.ts';

test('what stands beside the files is what they say', () => {
  const root = parseRoot(serializeUtf8(PUBLIC_GOOD.root));
  verifyMetadata(root, root.signed);
  expect(root.signed.version).toBe(PUBLIC_GOOD.rootVersion);
  expect(root.signed.expires).toEqual(PUBLIC_GOOD.rootExpires);
  expect(`sha256:${serializeHex(sha256(serializeUtf8(PUBLIC_GOOD.root)))}`).toBe(PUBLIC_GOOD.fingerprint);
});

test('every file parses in full', () => {
  requireWellFormed(parseTrustedRoot(serializeUtf8(PUBLIC_GOOD.trustedRoot)));
  expect(parseSigningConfig(serializeUtf8(PUBLIC_GOOD.signingConfig)).rekorTlogUrls.length).toBe(1);
  expect(parseSigningConfig(serializeUtf8(PUBLIC_GOOD.signingConfigRekorV2)).rekorTlogUrls.length).toBe(2);
});

test('the files are those that the TUF repository signed', () => {
  const path = sharedPath('trust/tuf-public-good/targets.json');
  if (path === undefined) return console.log('skipped: no test data');
  const targets = parseTargets(readFileSync(path));
  verifyMetadata(targets, parseRoot(serializeUtf8(PUBLIC_GOOD.root)).signed);
  expect(targets.signed.version).toBe(PUBLIC_GOOD.targetsVersion);
  for (const [name, text] of [
    ['trusted_root.json', PUBLIC_GOOD.trustedRoot],
    ['signing_config.v0.2.json', PUBLIC_GOOD.signingConfig],
    ['signing_config_rekor_v2.v0.2.json', PUBLIC_GOOD.signingConfigRekorV2],
  ] as const) {
    expect(targets.signed.targets.get(name)?.hashes.get('sha256')).toBe(serializeHex(sha256(serializeUtf8(text))));
  }
});
