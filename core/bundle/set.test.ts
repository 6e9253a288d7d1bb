import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { parseBase64, parseUtf8, serializeUtf8 } from '../bytes/bytes.ts';
import { canonicalizeJson, parseJson } from '../bytes/json.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { parsePublicKey } from '../crypto/public-key.ts';
import { isValidSignature } from '../crypto/verify.ts';
import { InputError } from '../errors.ts';
import { parseBundle } from './bundle.ts';
import { signedEntryTimestampPayload } from './set.ts';

const entry = { body: serializeUtf8('{}'), integratedTime: 1689177396n, logId: new Uint8Array(2), logIndex: 7n };

describe('signedEntryTimestampPayload', () => {
  test('is canonical JSON', () => {
    const payload = parseUtf8(signedEntryTimestampPayload(entry));
    expect(payload).toBe('{"body":"e30=","integratedTime":1689177396,"logID":"0000","logIndex":7}');
    expect(canonicalizeJson(parseJson(payload))).toBe(payload);
  });
  for (const member of ['integratedTime', 'logIndex'] as const) {
    test(`refuses an ${member} that JSON cannot hold`, () =>
      expect(() => signedEntryTimestampPayload({ ...entry, [member]: 2n ** 53n })).toThrow(InputError));
  }

  const bundle = sharedPath('corpus/conformance/happy-path-v0.1/bundle.sigstore.json');
  const root = sharedPath('trust/public-good.trusted_root.json');
  test.skipIf(bundle === undefined || root === undefined)('is what public-good signed', () => {
    const { tlogs } = JSON.parse(readFileSync(root as string, 'utf8')) as {
      tlogs: { publicKey: { rawBytes: string } }[];
    };
    const key = parsePublicKey(parseBase64(tlogs[0]?.publicKey.rawBytes as string));
    const [logged] = parseBundle(readFileSync(bundle as string)).tlogEntries;
    if (logged?.inclusionPromise === undefined || logged.integratedTime === undefined) throw new Error('no promise');
    const { canonicalizedBody: body, integratedTime, inclusionPromise } = logged;
    const isPromised = (change: object): boolean => {
      const payload = signedEntryTimestampPayload({ ...logged, body, integratedTime, ...change });
      return isValidSignature(key, 'sha256', payload, inclusionPromise);
    };
    expect(isPromised({})).toBe(true);
    expect(isPromised({ integratedTime: integratedTime + 1n })).toBe(false);
    expect(isPromised({ logIndex: logged.logIndex + 1n })).toBe(false);
  });
});
