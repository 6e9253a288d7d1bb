import { serializeHex } from '../bytes/bytes.ts';
import type { HashName } from '../crypto/hash.ts';
import { parseStatement } from '../dsse/statement.ts';
import { InputError } from '../errors.ts';
import type { Artifact } from '../verify/artifact.ts';

/**
 * Throws STATEMENT_INVALID if the bytes are no in-toto statement or are not about the artifact. Verification finds that
 * too, but what it rejects would then be in the log already.
 */
export function requireStatementAbout(statement: Uint8Array, artifact: Artifact): void {
  const digests = Object.entries(artifact.digests) as [HashName, Uint8Array][];
  const about = parseStatement(statement).subjects.some((subject) =>
    digests.some(([hash, digest]) => subject.digest[hash] === serializeHex(digest)),
  );
  if (about) return;
  throw new InputError('STATEMENT_INVALID', 'no subject of the statement is this artifact', {
    hint: `a subject needs ${digests.map(([hash, digest]) => `${hash} ${serializeHex(digest)}`).join(' or ')}`,
  });
}
