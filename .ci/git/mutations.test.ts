// Every byte of the DER of five of gitsign's own signatures, three other values each: whatever is changed, nothing verifies.
import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { sharedPath } from '../../core/bytes/shared-data.ts';
import { HallmarkError, VerificationError } from '../../core/errors.ts';
import { parseTrustedRoot } from '../../core/trust/trusted-root.ts';
import { parseSignedObject, type SignedKind } from '../../gitsign/object.ts';
import { parseArmor, parseCmsSignature } from '../../gitsign/signature.ts';
import { verifyGitSignature } from '../../gitsign/verify.ts';

const NOW = new Date('2026-11-01T00:00:00Z');
const SUBJECTS: readonly [string, SignedKind][] = [
  ['fixtures/offline.commit', 'commit'],
  ['fixtures/offline2.commit', 'commit'],
  ['commit/347014354ef1632fd0bcf69189a99ba6295f0f25', 'commit'],
  ['commit/fe1e62346d3c346a343d089e8b4c3fb57716bc94', 'commit'],
  ['tag/f6a73d9c2b84ee0b46598600c14007f41fa7a6ac', 'tag'],
];

/** Bytes that nothing covers, and why. There is none: the form is fixed, so each is signed, proven, or has one value. */
const UNCOVERED: Readonly<Record<string, string>> = {};

const corpus = sharedPath('corpus/git');
const rootFile = sharedPath('trust/public-good.trusted_root.json');

for (const [name, kind] of SUBJECTS) {
  test.skipIf(corpus === undefined || rootFile === undefined)(
    name,
    () => {
      const trustedRoot = parseTrustedRoot(readFileSync(rootFile as string));
      const { payload, signature: armor } = parseSignedObject(kind, readFileSync(`${corpus}/${name}`), 'sha1');
      if (armor === undefined) throw new Error('unsigned');
      const { der } = parseArmor(armor);
      const verify = (bytes: Uint8Array): void => {
        const options = { trustedRootFor: () => trustedRoot, now: NOW };
        verifyGitSignature(payload, armor, parseCmsSignature(bytes), options);
      };
      verify(der);
      const accepted: string[] = [];
      const outcomes = { bad: 0, error: 0 };
      for (let at = 0; at < der.length; at++) {
        for (const xor of [0x01, 0x40, 0xff]) {
          const changed = der.slice();
          changed[at] = (changed[at] as number) ^ xor;
          try {
            verify(changed);
            accepted.push(`${at} ^ ${xor}`);
          } catch (error) {
            if (!(error instanceof HallmarkError)) throw error;
            outcomes[error instanceof VerificationError && error.step === 'signature' ? 'bad' : 'error']++;
          }
        }
      }
      expect(accepted.filter((change) => UNCOVERED[change] === undefined)).toEqual([]);
      expect(outcomes.bad + outcomes.error).toBe(3 * der.length);
      // Both of git's letters come up: wrong signatures, and all the rest.
      expect(Math.min(outcomes.bad, outcomes.error)).toBeGreaterThan(100);
      console.log(
        `${name}: ${3 * der.length} changes of ${der.length} bytes, ${outcomes.bad} BADSIG, ${outcomes.error} ERRSIG`,
      );
    },
    300_000,
  );
}
