import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sharedPath } from '../core/bytes/shared-data.ts';
import { VerificationError } from '../core/errors.ts';
import { parseTrustedRoot, type TrustedRoot } from '../core/trust/trusted-root.ts';
import { parseSignedObject, type SignedKind } from './object.ts';
import { loggedObjectId, loggedObjectIds, objectId } from './object-id.ts';
import { parseArmor, parseCmsSignature, serializeArmor } from './signature.ts';
import { type VerifiedGitSignature, verifyGitSignature } from './verify.ts';

const corpus = sharedPath('corpus/git');
const rootFile = sharedPath('trust/public-good.trusted_root.json');
const NOW = new Date('2026-11-01T00:00:00Z');

function verify(kind: SignedKind, body: Uint8Array, root: TrustedRoot): VerifiedGitSignature {
  const { payload, signature } = parseSignedObject(kind, body, 'sha1');
  const armor = signature ?? new Uint8Array();
  return verifyGitSignature(payload, armor, parseCmsSignature(parseArmor(armor).der), {
    trustedRootFor: () => root,
    now: NOW,
  });
}

function codeOf(task: () => unknown): string {
  try {
    task();
  } catch (error) {
    if (error instanceof VerificationError) return error.code;
    throw error;
  }
  return 'verified';
}

describe.skipIf(corpus === undefined || rootFile === undefined)("gitsign's own history", () => {
  const root = parseTrustedRoot(new Uint8Array(readFileSync(rootFile as string)));
  const objects = readFileSync(join(corpus as string, 'manifest.tsv'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split('\t') as [string, SignedKind, string]);

  for (const [oid, kind, category] of objects) {
    test(`${kind} ${oid}: ${category}`, () => {
      const body = new Uint8Array(readFileSync(join(corpus as string, kind, oid)));
      expect(objectId(kind, body, 'sha1')).toBe(oid);
      const { payload, signature } = parseSignedObject(kind, body, 'sha1');
      const armor = signature ?? new Uint8Array();
      expect(loggedObjectId(payload, armor)).toBe(oid);
      expect(loggedObjectIds(payload, armor)).toContain(oid);
      const { label, der } = parseArmor(armor);
      expect(label).toBe('SIGNED MESSAGE');
      expect(serializeArmor('SIGNED MESSAGE', der)).toBe(Buffer.from(armor).toString());
      if (category === 'offline-TLE') {
        const result = verify(kind, body, root);
        expect(result.logEntries).toHaveLength(1);
        expect(result.subjectAlternativeName).toMatch(/@|https:/);
        return;
      }
      // The first certificates have no SCT and come from the root itself: all else about them is right.
      const { certificate } = parseCmsSignature(der);
      const early = certificate.notBefore < new Date('2022-05-27T00:00:00Z');
      const code = codeOf(() => verify(kind, body, root));
      if (early && code === 'SCT_MISSING') {
        expect(codeOf(() => verify(kind, body, { ...root, ctlogs: [] }))).toBe('LOG_ENTRY_MISSING');
      } else expect(code).toBe('LOG_ENTRY_MISSING');
    });
  }

  test('fixtures with an embedded entry', () => {
    for (const name of ['offline.commit', 'offline2.commit']) {
      verify('commit', new Uint8Array(readFileSync(join(corpus as string, 'fixtures', name))), root);
    }
  });

  test('every object of the corpus is in the manifest', () => {
    for (const kind of ['commit', 'tag'] as const) {
      const listed = objects.filter((row) => row[1] === kind).map(([oid]) => oid);
      expect(readdirSync(join(corpus as string, kind)).sort()).toEqual(listed.sort());
    }
  });
});
