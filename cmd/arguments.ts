import { parseUtf8 } from '../core/bytes/bytes.ts';
import { UsageError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_FILE_LIST_BYTES } from '../core/limits.ts';

/**
 * USAGE for arguments that were not UTF-8: the runtime puts U+FFFD in the place of such bytes, and then names another file than
 * the one that was meant. Where the system does not tell its arguments, one with U+FFFD is refused.
 */
export function requireUtf8(argv: readonly string[]): void {
  const doubtful = argv.find((word) => word.includes('\uFFFD'));
  if (doubtful === undefined) return;
  try {
    parseUtf8(readFileBounded('/proc/self/cmdline', MAX_FILE_LIST_BYTES, 'command line'));
  } catch (cause) {
    throw new UsageError(`an argument is not UTF-8: ${doubtful}`, {
      cause,
      hint: 'rename the file, or give its bytes on standard input',
    });
  }
}
