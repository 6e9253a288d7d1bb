import { describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { errorOf } from '../core/testing.ts';
import { joinObject, parseSignedObject, payloadKind, type SignedObject, signatureKind } from './object.ts';
import { loggedObjectIds, objectId } from './object-id.ts';
import { commitPayload, tagPayload } from './testing.ts';

const armor = '-----BEGIN SIGNED MESSAGE-----\nAAAA\nBBBB\n-----END SIGNED MESSAGE-----\n';
const indented = armor.trimEnd().replaceAll('\n', '\n ');
const text = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('latin1');
const cut = (kind: 'commit' | 'tag', body: string, format: 'sha1' | 'sha256' = 'sha1'): SignedObject =>
  parseSignedObject(kind, Buffer.from(body, 'latin1'), format);

describe('commits', () => {
  const headers = 'tree 1\nauthor A\ncommitter C\n';
  test('the signature is cut out, wherever it stands', () => {
    for (const [before, after] of [
      [headers, ''],
      ['tree 1\n', 'author A\ncommitter C\n'],
      ['', headers],
    ]) {
      const found = cut('commit', `${before}gpgsig ${indented}\n${after}\nmessage`);
      expect(text(found.payload)).toBe(`${headers}\nmessage`);
      expect(text(found.signature)).toBe(armor);
    }
  });
  test('a repository takes the signature of its own format, and neither is signed', () => {
    const body = `${headers}gpgsig ${indented}\ngpgsig-sha256 -----BEGIN SSH SIGNATURE-----\n x\n\nm\n`;
    expect(text(cut('commit', body).signature)).toBe(armor);
    expect(text(cut('commit', body, 'sha256').signature)).toBe('-----BEGIN SSH SIGNATURE-----\nx\n');
    expect(text(cut('commit', body, 'sha256').payload)).toBe(`${headers}\nm\n`);
  });
  test('a header that only begins like a signature is refused: git would leave it out', () => {
    for (const header of ['gpgsigned x', 'gpgsigx', 'gpgsig', 'gpgsig\tx', 'gpgsig-sha1 x', 'gpgsig-sha256']) {
      for (const rest of ['', `gpgsig ${indented}\n`]) {
        const flaw = errorOf(() => cut('commit', `${headers}${header}\n more\n${rest}\nm`));
        expect(flaw.code).toBe('GIT_OBJECT_INVALID');
      }
    }
    expect(cut('commit', `${headers}gpgsi x\n\ngpgsigx\n`).payload).toHaveLength(headers.length + 17);
  });
  test('a signature in the message is none', () => {
    const body = `${headers}\ngpgsig ${indented}\n`;
    expect(cut('commit', body).signature).toBeUndefined();
  });
  test('every other byte stays: merged tags, Latin-1, CR, no final newline, no message', () => {
    for (const body of [
      `${headers}mergetag object 1\n type commit\n \n gpgsig x\n\nmessage`,
      `${headers}encoding ISO-8859-1\n\n\xe4\xf6\xfc\r\n`,
      `${headers}`,
      `${headers}\n`,
    ]) {
      const joined = joinObject(Buffer.from(body, 'latin1'), Buffer.from(armor), 'sha1');
      const found = parseSignedObject('commit', joined?.body as Uint8Array, 'sha1');
      expect(text(found.payload)).toBe(body);
      expect(text(found.signature)).toBe(armor);
    }
  });
  test('two signatures are refused: git would join them', () => {
    const body = `${headers}gpgsig ${indented}\ngpgsig ${indented}\n\nm`;
    expect(errorOf(() => cut('commit', body)).code).toBe('GIT_OBJECT_INVALID');
  });
});

describe('tags', () => {
  const payload = text(tagPayload()) as string;
  test('the signature begins at the last first line of one', () => {
    const quoted = `${payload}-----BEGIN PGP SIGNATURE-----\nquoted\n`;
    expect(text(cut('tag', `${quoted}${armor}`).payload)).toBe(quoted);
    expect(text(cut('tag', `${quoted}${armor}`).signature)).toBe(armor);
  });
  test('an unknown label is no signature', () => {
    expect(cut('tag', `${payload}-----BEGIN PKCS7-----\n`).signature).toBeUndefined();
  });
  test("the other format's signature in the header is not signed", () => {
    const body = payload.replace('\n\n', `\ngpgsig-sha256 ${indented}\n\n`);
    expect(text(cut('tag', `${body}${armor}`).payload)).toBe(payload);
  });
});

test('the kind of a signature is told by its first line', () => {
  expect(signatureKind(serializeUtf8(armor))).toBe('x509');
  expect(signatureKind(serializeUtf8('-----BEGIN PGP MESSAGE-----\n'))).toBe('openpgp');
  expect(signatureKind(serializeUtf8('-----BEGIN SSH SIGNATURE-----\n'))).toBe('ssh');
  expect(signatureKind(serializeUtf8(` ${armor}`))).toBeUndefined();
});

test('a push certificate is no object', () => {
  const certificate = serializeUtf8('certificate version 0.1\npusher A <a@b> 1 +0000\n\n');
  expect(payloadKind(certificate)).toBeUndefined();
  expect(joinObject(certificate, serializeUtf8(armor), 'sha1')).toBeUndefined();
  expect(loggedObjectIds(certificate, serializeUtf8(armor))).toEqual([]);
});

describe('object IDs', () => {
  // The commands are of the same git that every checkout needs.
  for (const format of ['sha1', 'sha256'] as const) {
    test(`are those of git, ${format}`, () => {
      const folder = mkdtempSync(join(tmpdir(), 'hallmark-git-'));
      try {
        const env = { PATH: process.env['PATH'], HOME: folder, GIT_CONFIG_NOSYSTEM: '1' };
        const git = (args: string[], input?: Uint8Array) =>
          spawnSync('git', args, { cwd: folder, env, ...(input && { input }) })
            .stdout.toString()
            .trim();
        git(['init', '-q', `--object-format=${format}`, '.']);
        for (const [kind, payload] of [
          ['commit', commitPayload()],
          ['tag', tagPayload()],
        ] as const) {
          const body = joinObject(payload, serializeUtf8(armor), format)?.body as Uint8Array;
          expect(objectId(kind, body, format)).toBe(git(['hash-object', '-t', kind, '--literally', '--stdin'], body));
        }
      } finally {
        rmSync(folder, { recursive: true });
      }
    });
  }
  test('a tag was logged as a tag, as one with the header of a commit, and as an empty commit', () => {
    expect(loggedObjectIds(tagPayload(), serializeUtf8(armor))).toHaveLength(3);
  });
  test('a commit was logged without what go-git does not know', () => {
    const plain = commitPayload();
    const encoded = serializeUtf8((text(plain) as string).replace('\n\n', '\nencoding ISO-8859-1\n\n'));
    const [canonical] = loggedObjectIds(plain, serializeUtf8(armor));
    expect(loggedObjectIds(encoded, serializeUtf8(armor))).toContain(canonical as string);
    expect(loggedObjectIds(encoded, serializeUtf8(armor))[0]).not.toBe(canonical as string);
  });
});
