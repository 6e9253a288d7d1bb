import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/**
 * Test only: path of a file or folder of the test data that lies beside the checkout, undefined where it is absent.
 * Under CI=true its absence is a failure, so that no test skips unseen.
 */
export function sharedPath(relative: string): string | undefined {
  const path = resolve(import.meta.dir, '../../../shared', relative);
  if (existsSync(path)) return path;
  if (process.env['CI'] === 'true') throw new Error(`internal: test data ${relative} is missing`);
  return undefined;
}
