import { describe, expect, test } from 'bun:test';
import { serializeUtf8 } from '../bytes/bytes.ts';
import { InputError } from '../errors.ts';
import { MAX_TRUST_EXPORT_FILES } from '../limits.ts';
import { type ExportedInstance, mirrorOf, parseTrustExport, serializeTrustExport } from './trust-export.ts';

const instance = (name: string, files: Record<string, string> = { 'source.json': '{}' }): ExportedInstance => ({
  name,
  url: name === 'file' ? undefined : `https://${name}.test`,
  fingerprint: `sha256:${'ab'.repeat(32)}`,
  fetchedAt: new Date('2026-09-01T12:00:00Z'),
  files: new Map(Object.entries(files).map(([file, text]) => [file, serializeUtf8(text)])),
});
const parse = (text: string): ExportedInstance[] => parseTrustExport(serializeUtf8(text));

test('parse and serialize are inverse', () => {
  const text = serializeTrustExport([instance('a', { 'root.json': 'x', 'a.json': '' }), instance('file')]);
  expect(parse(text)).toEqual([instance('a', { 'a.json': '', 'root.json': 'x' }), instance('file')]);
  expect(serializeTrustExport(parse(text))).toBe(text);
});

test('the same whatever the order', () => {
  const [a, b] = [instance('a', { x: '1', y: '2' }), instance('b')];
  expect(serializeTrustExport([b, instance('a', { y: '2', x: '1' })])).toBe(serializeTrustExport([a, b]));
});

describe('rejections', () => {
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into the document to break it
  type Document = any;
  test.each<[string, (json: Document) => unknown]>([
    ['a newer version', (json) => (json.mediaType = 'application/vnd.hallmark.trust-export.v2+json')],
    ['something else', (json) => (json.mediaType = 'application/vnd.dev.sigstore.trustedroot+json;version=0.1')],
    ['no instance', (json) => (json.instances = [])],
    ['two instances of one name', (json) => json.instances.push(json.instances[0])],
    ['content changed', (json) => (json.instances[0].files[0].content = 'eA==')],
    ['content that is not base64', (json) => (json.instances[0].files[0].content = 'e')],
    ['no hash', (json) => delete json.instances[0].files[0].sha256],
    ['file name that is a path', (json) => (json.instances[0].files[0].name = '../meta.json')],
    ['hidden file name', (json) => (json.instances[0].files[0].name = '.lock')],
    ['two files of one name', (json) => json.instances[0].files.push(json.instances[0].files[0])],
    ['too many files', (json) => (json.instances[0].files = Array(MAX_TRUST_EXPORT_FILES + 1).fill({}))],
    ['fingerprint that is none', (json) => (json.instances[0].fingerprint = 'sha256:ab')],
    ['no time', (json) => delete json.instances[0].fetchedAt],
    ['unknown member', (json) => (json.instances[0].trusted = true)],
    ['unknown member at the top', (json) => (json.signature = '')],
  ])('%s', (_, change) => {
    const json = JSON.parse(serializeTrustExport([instance('a')]));
    change(json);
    const run = () => parse(JSON.stringify(json));
    expect(run).toThrow(InputError);
    expect(run).toThrow(expect.objectContaining({ code: 'TRUST_EXPORT_INVALID' }));
  });
});

describe('mirrorOf', () => {
  const mirror = mirrorOf(
    instance('a', { '2.root.json': 'r', 'snapshot.json': 's', 'targets.json': 't', 'a.b.json': 'a' }).files,
  );
  test.each([
    ['2.root.json', 'r'],
    ['snapshot.json', 's'],
    ['7.snapshot.json', 's'],
    ['12.targets.json', 't'],
    [`targets/${'0'.repeat(64)}.a.b.json`, 'a'],
    [`targets/${'0'.repeat(128)}.a.b.json`, 'a'],
    ['targets/a.b.json', 'a'],
  ])('%s', async (path, text) => expect(await mirror(path, 1)).toEqual(serializeUtf8(text)));

  test.each(['3.root.json', 'root.json', 'timestamp.json', `targets/${'0'.repeat(64)}.b.json`])(
    'not there: %s',
    async (path) => expect(await mirror(path, 1)).toBeUndefined(),
  );

  test('a file that is larger than the client allows', async () => {
    await expect(mirror('snapshot.json', 0)).rejects.toThrow(expect.objectContaining({ code: 'TRUST_EXPORT_INVALID' }));
  });
});
