import { join } from 'node:path';
import { parseUtf8 } from '../bytes/bytes.ts';
import { InputError, parseNamed, StorageError, TrustError } from '../errors.ts';
import { fileExists, readFileBounded, writeFileAtomic } from '../files.ts';
import { MAX_KEY_FILE_BYTES, MAX_TRUST_FILE_BYTES } from '../limits.ts';
import { type Certificate, parseCertificatesPem, serializeCertificatePem } from '../x509/certificate.ts';
import { filesOf, type Instance, type Part, parseInstance, serializeInstance } from './instance.ts';
import { NO_HISTORY } from './shard-history.ts';

/** The remedy for what is wrong inside a data directory. */
export const RESTORE = 'restore the whole directory from one backup, or start a new instance with another --data';

/**
 * The instance that a data directory belongs to, made on first start. A start that names another URL, or finds a file gone,
 * would fork what clients trust: it is refused before it writes. INSTANCE_MISMATCH, INSTANCE_INCOMPLETE.
 */
export function openInstance(data: string, wantedUrl: string, now: Date): Instance {
  const path = join(data, 'instance.json');
  // It is the first file that a first start writes: where others are there without it, it was lost.
  if (!fileExists(path) && ['keys', 'log.db', 'tuf'].some((name) => fileExists(join(data, name)))) {
    throw lostFile(data, 'instance.json');
  }
  const createdAt = new Date(Math.floor(now.getTime() / 1000) * 1000);
  const text = openText(path, MAX_TRUST_FILE_BYTES, 'instance file', () =>
    serializeInstance({ publicUrl: wantedUrl, createdAt, parts: [], shards: NO_HISTORY }),
  );
  const instance = parseNamed(path, RESTORE, () => parseInstance(text, path));
  const { publicUrl } = instance;
  if (publicUrl !== wantedUrl) {
    const message = `the data directory ${data} belongs to ${publicUrl}, not to ${wantedUrl}`;
    throw new StorageError('INSTANCE_MISMATCH', message, {
      hint: `keep its URL with --url ${publicUrl}, or start a new instance with another --data`,
    });
  }
  const lost = filesOf(instance).find((file) => !fileExists(join(data, file)));
  if (lost !== undefined) throw lostFile(data, lost);
  return instance;
}

const lostFile = (data: string, file: string): StorageError =>
  new StorageError('INSTANCE_INCOMPLETE', `the data directory ${data} has lost ${file}`, { hint: RESTORE });

/** Records that these parts were started completely once: from now on their files must be there. */
export function establishInstance(data: string, instance: Instance, started: readonly Part[]): Instance {
  const parts = [...new Set([...instance.parts, ...started])];
  if (parts.length === instance.parts.length) return instance;
  const established = { ...instance, parts };
  writeInstance(data, established);
  return established;
}

/** Durable when it returns. FILE_UNWRITABLE. */
export function writeInstance(data: string, instance: Instance): void {
  writeFileAtomic(join(data, 'instance.json'), serializeInstance(instance), 0o600);
}

/** The chain `NAME-chain.pem`, leaf first, created once. */
export function openChain(data: string, name: string, create: () => Certificate[]): Certificate[] {
  const pem = (): string => create().map(serializeCertificatePem).join('');
  const path = join(data, `${name}-chain.pem`);
  const text = openText(path, MAX_KEY_FILE_BYTES, 'certificate chain', pem);
  return parseNamed(path, RESTORE, () => parseCertificatesPem(text));
}

// Created once, durable before it is used.
function openText(path: string, max: number, what: string, create: () => string): string {
  try {
    return parseUtf8(readFileBounded(path, max, what));
  } catch (error) {
    if (!(error instanceof InputError) || error.code !== 'INPUT_MISSING') throw error;
    const text = create();
    writeFileAtomic(path, text, 0o600);
    return text;
  }
}

/**
 * INSTANCE_DAMAGED for what could not be parsed or trusted while a stack was opened: all of it came from the data directory,
 * nothing of it is outside input. Other errors as they are.
 */
export function asDamage(data: string, error: unknown): unknown {
  if (!(error instanceof InputError || error instanceof TrustError)) return error;
  return new StorageError('INSTANCE_DAMAGED', `the data directory ${data} is damaged: ${error.message}`, {
    hint: error.hint ?? RESTORE,
    cause: error,
  });
}
