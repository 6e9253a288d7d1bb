import { basename } from 'node:path';
import { Command } from 'commander';
import { serializeBundle } from '../core/bundle/bundle.ts';
import { parseHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { DIGEST_BYTES, type HashName } from '../core/crypto/hash.ts';
import { PREDICATE_TYPES, predicateTypeUri } from '../core/dsse/predicate-types.ts';
import { parseStatement } from '../core/dsse/statement.ts';
import { InputError, UsageError } from '../core/errors.ts';
import { readFileBounded, readStdinBounded } from '../core/files.ts';
import { MAX_LOG_REQUEST_BYTES } from '../core/limits.ts';
import { signStatement } from '../core/sign/sign.ts';
import type { Artifact } from '../core/verify/artifact.ts';
import { readArtifact } from './artifact.ts';
import { BUNDLE_SUFFIX } from './bundle-file.ts';
import { type Cli, emit, outputOption } from './cli.ts';
import { makeStatement } from './predicate.ts';
import { reportText } from './report.ts';
import { requireWritable, writeBundle } from './sign-files.ts';
import { openSigning, type SigningFlags, signedJson, signedLines, signingOptions } from './signing.ts';

interface Flags extends SigningFlags {
  readonly predicate?: string;
  readonly type?: string;
  readonly statement?: string;
}

/** `hallmark attest FILE`: signs an in-toto statement about a file. */
export function attestCommand(cli: Cli): Command {
  const command = new Command('attest')
    .description('Sign a statement about a file: how it was built, what is in it, what is known about it.')
    .argument('[file]', 'the file, or its digest as sha256:HEX; may be left out with --statement')
    .option('--predicate <file>', 'what to state, a JSON file; - for standard input')
    .option('--type <type>', `what kind of predicate it is: ${Object.keys(PREDICATE_TYPES).join(', ')}, or a URI`)
    .option('--statement <file>', 'a complete in-toto statement to sign as it is, instead; - for standard input')
    .option('--bundle <out>', `where the attestation goes; - for standard output (default: FILE${BUNDLE_SUFFIX})`)
    .addOption(outputOption());
  return signingOptions(command)
    .addHelpText(
      'after',
      `
An existing bundle of the same name is replaced, a plain signature too: give either another name with --bundle to keep both.

Examples:
  hallmark attest app.tar.gz --predicate provenance.json --type slsaprovenance1
  hallmark attest app.tar.gz --predicate sbom.json --type cyclonedx --bundle app.sbom${BUNDLE_SUFFIX}
  hallmark attest --statement statement.json --bundle app${BUNDLE_SUFFIX}
  hallmark verify app.tar.gz --type slsaprovenance1 --certificate-identity ... --certificate-oidc-issuer ...
`,
    )
    .action(async (file: string | undefined, flags: Flags) => {
      const bundlePath = requireBundlePath(file, flags);
      const { statement, artifact } = readSubject(cli, file, flags);
      requireWritable(bundlePath);
      const { signer, context } = await openSigning(cli, flags);
      const { bundle, verified } = await signStatement(statement, artifact, signer, context);
      writeBundle(cli, bundlePath, serializeBundle(bundle));
      if (bundlePath === '-') return;
      emit(
        cli,
        flags.output,
        {
          ok: true,
          predicateType: verified.statement?.predicateType ?? null,
          ...signedJson(file ?? '', bundlePath, verified),
        },
        reportText(`Attested: ${file ?? flags.statement}`, [
          ['type', verified.statement?.predicateType],
          ...signedLines(bundlePath, verified),
        ]),
      );
    });
}

function requireBundlePath(file: string | undefined, flags: Flags): string {
  if (flags.bundle !== undefined) return flags.bundle;
  if (file !== undefined && file !== '-' && !/^sha(?:256|384|512):/.test(file)) return `${file}${BUNDLE_SUFFIX}`;
  throw new UsageError('there is no file name to make the name of the bundle from', {
    hint: `add --bundle OUT${BUNDLE_SUFFIX}`,
  });
}

// The statement to sign and the artifact that the finished bundle is verified against.
function readSubject(cli: Cli, file: string | undefined, flags: Flags): { statement: Uint8Array; artifact: Artifact } {
  const { predicate, type, statement } = flags;
  if ((statement === undefined) === (predicate === undefined)) {
    throw new UsageError('give either --predicate with --type, or --statement', {
      hint: 'hallmark attest FILE --predicate predicate.json --type slsaprovenance1',
    });
  }
  if (statement !== undefined) {
    if (type !== undefined) throw new UsageError('--type goes with --predicate; a statement carries its own type');
    const bytes = readJsonFile(statement, 'statement');
    return { statement: bytes, artifact: file === undefined ? firstSubject(bytes) : readArtifact(file, HASHES) };
  }
  if (file === undefined) throw new UsageError('name the file that the predicate is about');
  if (type === undefined) {
    throw new UsageError('--type is missing: what kind of predicate is it?', {
      hint: `--type ${Object.keys(PREDICATE_TYPES).join('|')}, or a URI`,
    });
  }
  const artifact = readArtifact(file, ['sha256']);
  const made = makeStatement({
    subject: { name: /^sha(?:256|384|512):|^-$/.test(file) ? undefined : basename(file), digests: artifact.digests },
    type,
    predicateType: predicateTypeUri(type),
    predicate: readJsonFile(predicate as string, 'predicate'),
    now: cli.now(),
  });
  return { statement: serializeUtf8(made), artifact };
}

const HASHES = Object.keys(DIGEST_BYTES) as HashName[];

function readJsonFile(path: string, what: string): Uint8Array {
  return path === '-'
    ? readStdinBounded(MAX_LOG_REQUEST_BYTES, what)
    : readFileBounded(path, MAX_LOG_REQUEST_BYTES, what);
}

// A ready statement names its artifacts itself; the first that Hallmark has a hash for is enough to verify it.
function firstSubject(bytes: Uint8Array): Artifact {
  for (const { digest } of parseStatement(bytes).subjects) {
    const known = HASHES.find((hash) => digest[hash] !== undefined);
    if (known !== undefined) return { digests: { [known]: parseHex(digest[known] as string) } };
  }
  throw new InputError('STATEMENT_INVALID', 'no subject of the statement has a sha256, sha384 or sha512 digest', {
    hint: 'a verifier could not tell what the statement is about',
  });
}
