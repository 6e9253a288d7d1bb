import { Command } from 'commander';
import { serializeBase64 } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { UsageError } from '../core/errors.ts';
import { serializeCertificatePem } from '../core/x509/certificate.ts';
import { parseSignedObject } from '../gitsign/object.ts';
import { isOurArmor, parseArmor, parseCmsSignature } from '../gitsign/signature.ts';
import { objectStatement } from '../gitsign/statement.ts';
import { type Cli, jsonLine } from './cli.ts';
import { readObjects, repositoryFormat, selectObjects } from './git-objects.ts';
import { tryGit } from './git-process.ts';

/** `hallmark git show`: a commit or tag as an in-toto statement. */
export function gitShowCommand(cli: Cli): Command {
  return new Command('show')
    .description('print a signed commit or tag as in-toto statement, for other tools; nothing is verified')
    .argument('[rev]', 'commit or annotated tag', 'HEAD')
    .option('-r, --remote <name>', 'remote whose URL the statement names', 'origin')
    .addHelpText(
      'after',
      `
The predicate is gitsign's, https://gitsign.sigstore.dev/predicate/git/v0.1 of a commit and .../predicate/tag/v0.1 of a tag.

Example:
  hallmark git verify HEAD --from email:you@example.com && hallmark git show HEAD
`,
    )
    .action(async (revision: string, flags: { remote: string }) => {
      if (revision.includes('..')) {
        throw new UsageError(`${revision} is a range: name one commit or tag`, { hint: 'hallmark git show HEAD' });
      }
      const format = repositoryFormat();
      const { wanted } = selectObjects([revision]);
      for await (const { id, kind, body } of readObjects(
        wanted.map((each) => each.id),
        format,
      )) {
        if (kind === undefined) {
          throw new UsageError(`${revision} is neither a commit nor an annotated tag`, {
            hint: `git cat-file -t ${id} says what it is`,
          });
        }
        const object = parseSignedObject(kind, body, format);
        const remote = tryGit(['remote', 'get-url', '--', flags.remote]);
        const url = remote.code === 0 ? Buffer.from(remote.stdout).toString().trim() : undefined;
        cli.out(
          `${jsonLine(objectStatement(object, { id, format, url, signerInfo: signerInfo(object.signature) }))}\n`,
        );
      }
    });
}

function signerInfo(armor: Uint8Array | undefined): Json[] {
  if (armor === undefined || !isOurArmor(armor)) return [];
  const { certificate, signedAttributes } = parseCmsSignature(parseArmor(armor).der);
  return [{ attributes: serializeBase64(signedAttributes), certificate: serializeCertificatePem(certificate) }];
}
