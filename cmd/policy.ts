import { Command } from 'commander';
import type { Bundle } from '../core/bundle/bundle.ts';
import { parseHex } from '../core/bytes/bytes.ts';
import { DIGEST_BYTES, type HashName } from '../core/crypto/hash.ts';
import { parseStatement } from '../core/dsse/statement.ts';
import { HallmarkError, InputError } from '../core/errors.ts';
import type { Artifact } from '../core/verify/artifact.ts';
import { PolicyMismatchError, type RulePolicy } from '../core/verify/policy-rule.ts';
import { verifyBundle } from '../core/verify/verify.ts';
import { readBundle } from './bundle-file.ts';
import { type Cli, emit, type OutputFormat, outputOption, resultText } from './cli.ts';
import { AlreadyReported, EXIT_REJECTED, errorJson, exitCodeOf } from './exit.ts';
import { readPolicy } from './policy-file.ts';
import { printable } from './report.ts';
import { type ResolvedTrust, resolveTrust, type TrustFlags, trustOptions } from './trust-store.ts';

interface Flags extends TrustFlags {
  readonly output: OutputFormat;
}

/** `hallmark policy test`: never touches the network. */
export function policyCommand(cli: Cli): Command {
  const command = new Command('policy').description('Try a policy before relying on it.').addHelpText(
    'after',
    `
Example:
  hallmark policy test policy.yaml dist/*.sigstore.json

What a policy is: docs/policy.md.
`,
  );
  const test = command
    .command('test <policy> [bundle...]')
    .description(
      'which rule of a policy allows each bundle, or why none does; without bundles: is the policy well formed?',
    )
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Bundles are verified in full, but against the artifact that they name themselves. What hallmark verify adds is that it is
the file at hand: hallmark verify FILE --policy POLICY.

Examples:
  hallmark policy test policy.yaml
  hallmark policy test policy.yaml dist/*.sigstore.json

Exit codes: 0 each is allowed, 12 one is rejected, 3 unusable policy or bundle, 7 no trust material.
`,
    )
    .action((path: string, bundles: string[], flags: Flags) => testPolicy(cli, path, bundles, flags));
  trustOptions(test);
  return command;
}

function testPolicy(cli: Cli, path: string, bundles: readonly string[], flags: Flags): void {
  const policy = readPolicy(path);
  if (bundles.length === 0) {
    const rules = policy.rules.map(({ name }) => name);
    const text = `well formed: ${printable(path)} (${rules.map((name) => `rule ${name}`).join(', ')})\n`;
    emit(cli, flags.output, { ok: true, policy: path, rules }, text);
    return;
  }
  const trust = resolveTrust(cli, flags);
  for (const warning of trust.warnings) cli.warn(warning);
  const codes = bundles.map((bundle) => testBundle(cli, bundle, policy, trust, flags.output));
  const failure = codes.includes(EXIT_REJECTED) ? EXIT_REJECTED : codes.find((code) => code !== 0);
  if (failure !== undefined) throw new AlreadyReported(failure);
}

/** Prints the verdict on one bundle: allowed ones on standard output, with `--output json` all of them. Returns its exit code. */
function testBundle(cli: Cli, path: string, policy: RulePolicy, trust: ResolvedTrust, output: OutputFormat): number {
  try {
    const bundle = readBundle(path);
    const { trustedRoot } = trust.sourceFor(bundle);
    const { rule } = verifyBundle(bundle, { trustedRoot, policy, artifact: namedArtifact(bundle), now: cli.now() });
    emit(cli, output, { ok: true, bundle: path, rule: rule as string }, `allowed: ${printable(path)} (rule ${rule})\n`);
    return 0;
  } catch (error) {
    // Only what a HallmarkError says is a verdict; a bug ends the whole run.
    if (!(error instanceof HallmarkError)) throw error;
    const verdicts = error instanceof PolicyMismatchError ? error.verdicts : [];
    if (output === 'json') {
      const rules = verdicts.map((verdict) => ({ ...verdict }));
      cli.out(resultText('json', { ok: false, bundle: path, error: errorJson(error), rules }, ''));
    } else {
      cli.say(
        `not allowed: ${printable(path)} (${error.code}${verdicts.length > 0 ? '' : `: ${printable(error.message)}`})`,
      );
      for (const { rule, code, message } of verdicts) cli.say(`  rule ${rule}: ${code}: ${printable(message)}`);
    }
    return exitCodeOf(error);
  }
}

// What the bundle says that it is about: enough to see whom and what a policy lets pass, not whether a file is the one.
function namedArtifact({ content }: Bundle): Artifact {
  if (content.kind === 'message') {
    if (content.digest !== undefined) return { digests: { [content.digest.hash]: content.digest.digest } };
  } else {
    const [subject] = parseStatement(content.envelope.payload).subjects;
    const known = (Object.keys(DIGEST_BYTES) as HashName[]).filter((hash) =>
      isDigestText(subject?.digest[hash], DIGEST_BYTES[hash]),
    );
    if (known.length > 0) {
      return { digests: Object.fromEntries(known.map((hash) => [hash, parseHex(subject?.digest[hash] as string)])) };
    }
  }
  throw new InputError('BUNDLE_INVALID', 'the bundle does not say by a known digest what it is about', {
    hint: 'try the policy with the file: hallmark verify FILE --bundle BUNDLE --policy POLICY',
  });
}

const isDigestText = (text: string | undefined, bytes: number): boolean =>
  text !== undefined && text.length === 2 * bytes && /^[0-9a-f]+$/.test(text);
