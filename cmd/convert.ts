import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { convertBundles, FOREIGN_FORMATS, type ForeignFormat } from '../core/bundle/foreign/convert.ts';
import type { ConvertedBundle } from '../core/bundle/foreign/converted.ts';
import type { DetachedSignature } from '../core/bundle/foreign/cosign.ts';
import { parseUtf8 } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { parseStatement, type Statement } from '../core/dsse/statement.ts';
import { InputError, StorageError, UsageError } from '../core/errors.ts';
import { makeFolder, readFileBounded, readStdinBounded, writeFileAtomic } from '../core/files.ts';
import { MAX_FOREIGN_BYTES, MAX_KEY_FILE_BYTES } from '../core/limits.ts';
import { BUNDLE_SUFFIX } from './bundle-file.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { type ReportLine, reportText, shellWord } from './report.ts';

interface Flags {
  readonly out?: string;
  readonly outputDir?: string;
  readonly from: ForeignFormat | 'auto';
  readonly signature?: string;
  readonly certificate?: string;
  readonly force?: true;
  readonly output: OutputFormat;
}

/** One bundle and the file that it goes to. */
interface Planned {
  readonly converted: ConvertedBundle;
  readonly file: string;
}

/** `hallmark convert FILE`: what registries, indexes and older clients keep, as standard bundles. Nothing is verified. */
export function convertCommand(cli: Cli): Command {
  return new Command('convert')
    .description("Turn npm's, PyPI's and GitHub's attestations, or cosign's older bundles, into standard bundles.")
    .argument('<file>', 'what was downloaded, or - for standard input')
    .option('-o, --out <file>', 'where the bundle goes; - for standard output, one bundle to a line')
    .option('--output-dir <dir>', 'folder for bundles named after FILE (default: the one of FILE)')
    .addOption(
      new Option('--from <format>', 'what FILE is').choices(['auto', ...Object.keys(FOREIGN_FORMATS)]).default('auto'),
    )
    .option('--signature <file>', 'with --from cosign: the signature, where cosign wrote it into a file of its own')
    .option('--certificate <file>', 'with --signature: the certificate or public key that goes with it')
    .option('--force', 'replace files that are there already')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Formats:
${Object.entries(FOREIGN_FORMATS)
  .map(([name, { what }]) => `  ${name.padEnd(8)}${what}`)
  .join('\n')}

A single bundle is named after FILE, so that verify finds it beside the artifact; several are numbered.

Examples:
  curl $REGISTRY/-/npm/v1/attestations/sigstore@1.0.0 | hallmark convert - --output-dir .
  hallmark convert pkg-1.0-py3-none-any.whl.publish.attestation
  hallmark convert attestations.jsonl --output-dir bundles
  hallmark convert rekor-bundle.json --signature app.sig --certificate app.pem -o app${BUNDLE_SUFFIX}
`,
    )
    .action((path: string, flags: Flags) => {
      requireConsistent(flags);
      const input =
        path === '-'
          ? readStdinBounded(MAX_FOREIGN_BYTES, 'attestations')
          : readFileBounded(path, MAX_FOREIGN_BYTES, 'attestations');
      const fileName = distributionOf(path);
      const detached = readDetached(flags);
      const bundles = convertBundles(input, flags.from, {
        ...(fileName !== undefined && { fileName }),
        ...(detached !== undefined && { detached }),
      });
      cli.warn('converted, not verified: hallmark verify ARTIFACT --bundle FILE ...');
      if (flags.out === '-') {
        cli.out(bundles.map(({ text }) => `${text}\n`).join(''));
        return;
      }
      const plan = planFiles(path, flags, bundles);
      requireFree(plan, flags);
      if (flags.outputDir !== undefined) makeFolder(flags.outputDir, 0o755);
      for (const { file, converted } of plan) {
        writeFileAtomic(file, converted.text, 0o644, flags.force ? 'replace' : 'refuse');
      }
      emit(cli, flags.output, { ok: true, bundles: plan.map(json) }, reportText(`Converted: ${path}`, plan.map(line)));
    });
}

function requireConsistent({ out, outputDir, signature, certificate }: Flags): void {
  if (out !== undefined && outputDir !== undefined) throw new UsageError('--out and --output-dir exclude each other');
  if ((signature === undefined) !== (certificate === undefined)) {
    throw new UsageError('--signature and --certificate go together', {
      hint: 'hallmark convert rekor-bundle.json --signature app.sig --certificate app.pem',
    });
  }
}

function readDetached({ signature, certificate }: Flags): DetachedSignature | undefined {
  if (signature === undefined || certificate === undefined) return undefined;
  return {
    signature: parseUtf8(readFileBounded(signature, MAX_KEY_FILE_BYTES, 'signature')),
    verifier: parseUtf8(readFileBounded(certificate, MAX_KEY_FILE_BYTES, 'certificate')),
  };
}

/** Ends of file names that say in what form attestations are, not what they are about. */
const FOREIGN_SUFFIX =
  /\.(?:publish\.attestation|slsa\.attestation|attestation|provenance|jsonl|sigstore\.json|json|bundle)$/;

/** PEP 740 attestations are named after their distribution; undefined if this file is not. */
function distributionOf(path: string): string | undefined {
  const [, name] = /^(.+\.(?:whl|tar\.gz|zip))\.(?:[a-z]+\.)?(?:attestation|provenance)$/.exec(basename(path)) ?? [];
  return name;
}

function planFiles(path: string, flags: Flags, bundles: readonly ConvertedBundle[]): Planned[] {
  const [first, ...more] = bundles;
  if (first === undefined) throw new Error('internal: converted nothing');
  if (flags.out !== undefined) {
    if (more.length > 0) {
      throw new UsageError(`${path} holds ${bundles.length} bundles, --out is for one`, {
        hint: `hallmark convert ${shellWord(path)} --output-dir DIR`,
      });
    }
    return [{ converted: first, file: flags.out }];
  }
  if (path === '-' && flags.outputDir === undefined) {
    throw new UsageError('standard input has no name to make file names from', {
      hint: `add --out FILE${BUNDLE_SUFFIX}, or --output-dir DIR`,
    });
  }
  const name = path === '-' ? 'attestation' : basename(path).replace(FOREIGN_SUFFIX, '');
  const folder = flags.outputDir ?? dirname(path);
  return bundles.map((converted, i) => ({
    converted,
    file: join(folder, `${name}${more.length > 0 ? `.${i + 1}` : ''}${BUNDLE_SUFFIX}`),
  }));
}

// Before the first is written, so that a refusal leaves nothing half done.
function requireFree(plan: readonly Planned[], { force }: Flags): void {
  const taken = force ? undefined : plan.find(({ file }) => existsSync(file));
  if (taken === undefined) return;
  throw new StorageError('FILE_EXISTS', `${taken.file} exists already`, {
    hint: 'choose another folder with --output-dir, or replace it with --force',
  });
}

function json({ file, converted }: Planned): Json {
  const { origin, bundle } = converted;
  const statement = readableStatement(converted);
  return {
    file,
    origin,
    mediaType: bundle.mediaType,
    content: bundle.content.kind === 'dsse' ? 'attestation' : 'message',
    predicateType: statement?.predicateType ?? null,
    subjects: statement?.subjects.map(({ name, digest }) => ({ name: name ?? null, digest: { ...digest } })) ?? [],
  };
}

function line({ file, converted }: Planned): ReportLine {
  const what =
    converted.bundle.content.kind === 'message'
      ? 'signature of a file'
      : (readableStatement(converted)?.predicateType ?? 'attestation');
  return [file, what];
}

/** What is attested, if that can be read; whether it has to be is for verification to say. */
function readableStatement({ bundle: { content } }: ConvertedBundle): Statement | undefined {
  if (content.kind !== 'dsse') return undefined;
  try {
    return parseStatement(content.envelope.payload);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}
