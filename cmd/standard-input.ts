import { readSync } from 'node:fs';
import { concat } from '../core/bytes/bytes.ts';
import { InputError } from '../core/errors.ts';

const CHUNK_BYTES = 64 * 1024;

/** All of standard input, at most `max` bytes. Synchronous: what git feeds is there, or git is waiting. INPUT_TOO_LARGE */
export function readStandardInput(max: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let length = 0; ; ) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const read = readSome(chunk);
    if (read === 0) return concat(...chunks);
    length += read;
    if (length > max) throw new InputError('INPUT_TOO_LARGE', `more than ${max} bytes on standard input`);
    chunks.push(chunk.subarray(0, read));
  }
}

function readSome(chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(0, chunk);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EOF') return 0;
      if (code !== 'EAGAIN') throw error;
      Bun.sleepSync(1);
    }
  }
}
