import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { basename } from 'node:path';
import { parseHex } from '../core/bytes/bytes.ts';
import { DIGEST_BYTES, type HashName } from '../core/crypto/hash.ts';
import { InputError, UsageError } from '../core/errors.ts';
import { readSome } from '../core/files.ts';
import type { Artifact } from '../core/verify/artifact.ts';
import { shellWord } from './report.ts';

/** Bytes asked for by one read: large enough that hashing, not system calls, takes the time. */
const CHUNK_BYTES = 1024 * 1024;

const STDIN = '-';

/** `sha256:HEX` and its siblings; undefined for a file name. A digest that is malformed is a UsageError. */
export function parseDigestReference(reference: string): { hash: HashName; digest: Uint8Array } | undefined {
  const [, name, hex] = /^(sha256|sha384|sha512):(.*)$/s.exec(reference) ?? [];
  if (name === undefined || hex === undefined) return undefined;
  const hash = name as HashName;
  if (!/^[0-9a-f]*$/.test(hex) || hex.length !== 2 * DIGEST_BYTES[hash]) {
    throw new UsageError(`${hash}: needs ${2 * DIGEST_BYTES[hash]} lower-case hexadecimal digits`, {
      hint: `for a file of that name write ${shellWord(`./${reference}`)}`,
    });
  }
  return { hash, digest: parseHex(hex) };
}

/**
 * The artifact that `reference` names: a digest, `-` for standard input, or a file. A file is read once, in constant memory,
 * for all `hashes`. INPUT_MISSING, INPUT_UNREADABLE.
 */
export function readArtifact(reference: string, hashes: readonly HashName[]): Artifact {
  const given = parseDigestReference(reference);
  if (given !== undefined) return { digests: { [given.hash]: given.digest } };
  const running = hashes.map((name) => ({ name, hash: createHash(name) }));
  for (const chunk of readChunks(reference)) for (const { hash } of running) hash.update(chunk);
  const digests = Object.fromEntries(running.map(({ name, hash }) => [name, new Uint8Array(hash.digest())]));
  if (reference === STDIN) return { digests };
  return {
    digests,
    name: basename(reference),
    chunks: () => readChunks(reference),
  };
}

/** The bytes of a file, or of standard input for `-`, in chunks that are overwritten by the next. */
export function* readChunks(path: string): Generator<Uint8Array, void, undefined> {
  let fd: number | undefined;
  try {
    fd = path === STDIN ? 0 : openSync(path, 'r');
    // No more than the file fills: making a large chunk takes longer than a small file.
    const { size } = fstatSync(fd);
    const chunk = new Uint8Array(size === 0 ? CHUNK_BYTES : Math.min(CHUNK_BYTES, size));
    for (let read = readSome(fd, chunk); read > 0; read = readSome(fd, chunk)) yield chunk.subarray(0, read);
  } catch (cause) {
    throw unreadable(path, cause);
  } finally {
    if (fd !== undefined && fd !== 0) closeSync(fd);
  }
}

function unreadable(path: string, cause: unknown): InputError {
  const name = path === STDIN ? 'standard input' : path;
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new InputError('INPUT_MISSING', `${name} does not exist`, {
      cause,
      hint: 'name a file that exists, or give its digest as sha256:HEX',
    });
  }
  return new InputError(
    'INPUT_UNREADABLE',
    `${name} cannot be read: ${code === 'EISDIR' ? 'it is a folder' : message}`,
    {
      cause,
      hint: code === 'EISDIR' ? 'name a file inside it' : `ls -l ${shellWord(name)}`,
    },
  );
}
