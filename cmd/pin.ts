import { basename } from 'node:path';
import { Command } from 'commander';
import { UsageError, VerificationError } from '../core/errors.ts';
import type { IdentityPolicy } from '../core/verify/identity.ts';
import { glob } from '../core/verify/matcher.ts';
import {
  changedPin,
  isProvenance,
  type Pin,
  type Pins,
  pinnedIdentity,
  pinnedText,
} from '../core/verify/policy-pin.ts';
import type { VerifiedBundle } from '../core/verify/verify.ts';
import { parseDigestReference } from './artifact.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { printable } from './report.ts';
import { readPinsIfThere, SIGNERS_LOCK, writePins } from './signers-lock.ts';
import { type TrustFlags, trustOptions } from './trust-store.ts';
import { prepareVerifyFor } from './verify-one.ts';
import { type PolicyFlags, signerOptions, statedPolicy } from './verify-policy.ts';

interface Flags extends TrustFlags, Omit<PolicyFlags, 'lock' | 'lockName'> {
  readonly lock: string;
  readonly name?: string;
  readonly bundle?: string;
  readonly type?: string;
  readonly acceptChange?: boolean;
  readonly output: OutputFormat;
}

/** What happened to one artifact's pin. */
interface Change {
  readonly name: string;
  readonly change: 'new' | 'same' | 'updated' | 'replaced';
  readonly pin: Pin;
}

/** `hallmark pin FILE...`: verifies, then writes down who signed. Never touches the network. */
export function pinCommand(cli: Cli): Command {
  const command = new Command('pin')
    .description('Write down in signers.lock who signs a file, so that another signer is noticed next time.')
    .argument('<artifact...>', 'signed files; a digest as sha256:HEX with --name and --bundle')
    .option('--lock <file>', 'the file to write', SIGNERS_LOCK)
    .option('--name <name>', 'what to call the artifact (default: the name of the file)')
    .option('--bundle <file>', 'the signature bundle of a single artifact (default: beside it)')
    .option('--accept-change', 'replace a signer who is pinned, or one with provenance by one without')
    .addOption(outputOption());
  return trustOptions(signerOptions(command))
    .addHelpText(
      'after',
      `
Every signature is verified in full. Without a flag that says who must have signed, whoever did is believed this first time.
A workflow is pinned with its repository, whatever the ref, so that the next release is by the same signer.

Examples:
  hallmark pin app.tar.gz --from github:owner/repo
  hallmark pin app-1.2.tar.gz --name app --bundle app-1.2.tar.gz.sigstore.json
  hallmark verify app.tar.gz --lock ${SIGNERS_LOCK}

Exit codes: 0 pinned, 12 rejected or another signer than the pinned one, 10 no signature found, 3 unusable input.
`,
    )
    .action((references: string[], flags: Flags) => pinArtifacts(cli, references, flags));
}

async function pinArtifacts(cli: Cli, references: readonly string[], flags: Flags): Promise<void> {
  const [first = ''] = references;
  if (references.length > 1 && (flags.name !== undefined || flags.bundle !== undefined)) {
    throw new UsageError('--name and --bundle are about one artifact');
  }
  const named = new Map(references.map((reference) => [nameOf(reference, flags.name), reference]));
  if (named.size < references.length) {
    throw new UsageError('two artifacts of one name', { hint: 'pin them one by one, with --name' });
  }
  const { lock, ...stated } = flags;
  const { verify, warnings } = prepareVerifyFor(cli, flags, (await statedPolicy(first, stated)) ?? ANYBODY);
  for (const warning of warnings) cli.warn(warning);
  const found = [...named].map(([name, reference]) => ({ name, pin: pinOf(verify(reference, flags.bundle).verified) }));

  // Read only now, and written at once, so that little can come in between. All of them or none.
  const pins = readPinsIfThere(lock);
  const changes = found.map(({ name, pin }) => changeOf(pins, name, pin, flags.acceptChange ?? false));
  if (changes.some(({ change }) => change !== 'same')) {
    writePins(lock, new Map([...pins, ...changes.map(({ name, pin }) => [name, pin] as const)]));
  }
  emit(
    cli,
    flags.output,
    {
      ok: true,
      lock,
      pins: changes.map(({ name, change, pin }) => ({
        name,
        change,
        signer: pinnedText(pin.signer),
        provenance: pin.provenance,
      })),
    },
    changes.map(changeLine).join(''),
  );
}

/** Any identity that a trusted authority vouches for. */
const ANYBODY: IdentityPolicy = { identities: [{ issuer: glob('**'), subjectAlternativeName: glob('**') }] };

function nameOf(reference: string, given: string | undefined): string {
  if (given !== undefined && given !== '') return given;
  if (given === '' || reference === '-' || parseDigestReference(reference) !== undefined) {
    throw new UsageError(`${reference} has no name to pin it by`, { hint: 'say what to call it with --name NAME' });
  }
  return basename(reference);
}

function pinOf({ signer, statement }: VerifiedBundle): Pin {
  return {
    signer: signer.kind === 'key' ? { kind: 'key', key: signer.key } : pinnedIdentity(signer, signer.claims),
    provenance: isProvenance(statement),
  };
}

function changeOf(pins: Pins, name: string, pin: Pin, acceptChange: boolean): Change {
  const before = pins.get(name);
  if (before === undefined) return { name, change: 'new', pin };
  const change = changedPin(before, pin);
  if (change === undefined) return { name, change: 'same', pin: before };
  if (change === 'gained') return { name, change: 'updated', pin };
  if (acceptChange) return { name, change: 'replaced', pin };
  const [code, message] =
    change === 'signer'
      ? ([
          'SIGNER_CHANGED',
          `${name} is signed by ${pinnedText(pin.signer)}; pinned is ${pinnedText(before.signer)}`,
        ] as const)
      : (['PROVENANCE_LOST', `${name} had provenance when it was pinned, and has none now`] as const);
  throw new VerificationError(code, 'policy', message, {
    evidence: 'verificationMaterial',
    hint: 'ask its publishers whether that is meant; if it is: hallmark pin --accept-change ...',
  });
}

const WORDS: Record<Change['change'], string> = {
  new: 'pinned',
  same: 'unchanged',
  updated: 'updated',
  replaced: 'replaced',
};

function changeLine({ name, change, pin }: Change): string {
  const provenance = pin.provenance ? ', with provenance' : '';
  return `${WORDS[change]}: ${printable(name)}: ${printable(pinnedText(pin.signer))}${provenance}\n`;
}
