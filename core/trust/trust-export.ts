import { serializeBase64, serializeHex } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { parseJson } from '../bytes/json.ts';
import { sha256 } from '../crypto/hash.ts';
import { InputError } from '../errors.ts';
import { MAX_TRUST_EXPORT_FILES, MAX_TRUST_FILE_BYTES, MAX_TRUST_INSTANCES } from '../limits.ts';
import { serializeTime } from './fields.ts';
import type { Mirror } from './tuf/mirror.ts';
import { isPlainName } from './tuf/names.ts';

/** One instance in an export. All of it is a claim until its TUF metadata, or its fingerprint, is verified. */
export interface ExportedInstance {
  readonly name: string;
  /** Of its TUF repository; undefined if it came from a file. */
  readonly url: string | undefined;
  /** `sha256:` and the hash of the first TUF root, or of the file. */
  readonly fingerprint: string;
  /** Whole seconds. */
  readonly fetchedAt: Date;
  /** By plain names: TUF metadata with the roots as `N.root.json`, and targets; or the file alone. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

const MEDIA_TYPE = 'application/vnd.hallmark.trust-export.v1+json';
const CODE = 'TRUST_EXPORT_INVALID';

/** The export as a file: JSON that is the same for the same instances, in whatever order they are given. */
export function serializeTrustExport(instances: readonly ExportedInstance[]): string {
  const byName = <T>(entries: Iterable<readonly [string, T]>): (readonly [string, T])[] =>
    [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  const json = {
    mediaType: MEDIA_TYPE,
    instances: byName(instances.map((instance) => [instance.name, instance] as const)).map(([name, instance]) => ({
      name,
      ...(instance.url !== undefined && { url: instance.url }),
      fingerprint: instance.fingerprint,
      fetchedAt: serializeTime(instance.fetchedAt),
      files: byName(instance.files).map(([file, bytes]) => ({
        name: file,
        sha256: serializeHex(sha256(bytes)),
        content: serializeBase64(bytes),
      })),
    })),
  };
  return `${JSON.stringify(json, null, 1)}\n`;
}

/** Parses an export and compares every file with its hash. TRUST_EXPORT_INVALID. */
export function parseTrustExport(bytes: Uint8Array): ExportedInstance[] {
  const fields = new Fields(parseJson(bytes), '', CODE);
  const mediaType = fields.string('mediaType');
  if (mediaType !== MEDIA_TYPE) {
    throw new InputError(CODE, `not an export of trust: its mediaType is ${JSON.stringify(mediaType.slice(0, 100))}`, {
      hint: `give a file that hallmark trust export wrote (${MEDIA_TYPE}); a trusted root is added with: hallmark trust add FILE`,
    });
  }
  const instances = fields.objects('instances', MAX_TRUST_INSTANCES).map(parseInstance);
  fields.end();
  if (instances.length === 0) throw fields.fail('instances', 'empty');
  if (new Set(instances.map(({ name }) => name)).size < instances.length) {
    throw fields.fail('instances', 'two of the same name');
  }
  return instances;
}

function parseInstance(fields: Fields): ExportedInstance {
  const fetchedAt = fields.optionalTime('fetchedAt');
  if (fetchedAt === undefined) throw fields.fail('fetchedAt', 'missing');
  const fingerprint = fields.string('fingerprint');
  if (!/^sha256:[0-9a-f]{64}$/.test(fingerprint)) throw fields.fail('fingerprint', 'expected sha256: and 64 digits');
  const files = new Map<string, Uint8Array>();
  for (const file of fields.objects('files', MAX_TRUST_EXPORT_FILES)) {
    const name = file.string('name');
    if (!isPlainName(name)) throw file.fail('name', 'not a plain file name');
    if (files.has(name)) throw file.fail('name', 'a second file of that name');
    const content = file.bytes('content');
    if (content.length > MAX_TRUST_FILE_BYTES) throw file.fail('content', `more than ${MAX_TRUST_FILE_BYTES} bytes`);
    if (serializeHex(sha256(content)) !== file.string('sha256'))
      throw file.fail('sha256', 'is that of another content');
    file.end();
    files.set(name, content);
  }
  const instance = { name: fields.string('name'), url: fields.optionalString('url'), fingerprint, fetchedAt, files };
  fields.end();
  return instance;
}

/**
 * The files of an export as the mirror that they came from, for the TUF client. It finds them under the mirror's names: with
 * their version or hash in front. The client compares those itself.
 */
export function mirrorOf(files: ReadonlyMap<string, Uint8Array>): Mirror {
  return async (path, max) => {
    const name = path.split('/').at(-1) ?? '';
    const plain = /^[0-9]+\.root\.json$/.test(name)
      ? name
      : name.replace(/^(?:[0-9]+\.(?=(?:snapshot|targets)\.json$)|(?:[0-9a-f]{64}|[0-9a-f]{128})\.)/, '');
    const bytes = files.get(plain);
    if (bytes !== undefined && bytes.length > max) throw new InputError(CODE, `${plain} has more than ${max} bytes`);
    return bytes;
  };
}
