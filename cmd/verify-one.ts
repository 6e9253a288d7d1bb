import { predicateTypeUri } from '../core/dsse/predicate-types.ts';
import { requiredHashes } from '../core/verify/artifact.ts';
import type { Policy } from '../core/verify/signer.ts';
import { type VerifiedBundle, verifyBundle } from '../core/verify/verify.ts';
import { readArtifact } from './artifact.ts';
import { readBundleOf } from './bundle-file.ts';
import type { Cli } from './cli.ts';
import { resolveTrust, type TrustFlags, type TrustSource } from './trust-store.ts';
import { type PolicyFlags, policyOf, withRemedy } from './verify-policy.ts';

/** The flags that count for every artifact of a command line. */
export interface VerifyFlags extends TrustFlags, PolicyFlags {
  readonly type?: string;
}

/** Verifies one artifact with the bundle that is named, else the one beside it. Throws what the verdict or its input is. */
export type Verify = (reference: string, bundle?: string) => Verified;

export interface Verified {
  readonly reference: string;
  readonly verified: VerifiedBundle;
  readonly trust: TrustSource;
}

/**
 * Reads once what all artifacts have in common: whose signature is wanted, and whom to trust. `example` is an artifact for the
 * hint of a wrong command line.
 */
export async function prepareVerify(
  cli: Cli,
  flags: VerifyFlags,
  example: string,
): Promise<{ verify: Verify; warnings: readonly string[] }> {
  return prepareVerifyFor(cli, flags, await policyOf(example, flags));
}

/** The same with the policy at hand. */
export function prepareVerifyFor(
  cli: Cli,
  flags: TrustFlags & Pick<VerifyFlags, 'type'>,
  policy: Policy,
): { verify: Verify; warnings: readonly string[] } {
  const predicateType = flags.type === undefined ? undefined : predicateTypeUri(flags.type);
  const { sourceFor, warnings } = resolveTrust(cli, flags);
  const now = cli.now();

  const verify: Verify = (reference, named) => {
    const { bundle } = readBundleOf(reference, named);
    const artifact = readArtifact(reference, requiredHashes(bundle, 'key' in policy ? policy.key : undefined));
    const trust = sourceFor(bundle);
    const verified = withRemedy(() =>
      verifyBundle(bundle, {
        trustedRoot: trust.trustedRoot,
        policy,
        artifact,
        now,
        ...(predicateType !== undefined && { predicateType }),
      }),
    );
    return { reference, verified, trust };
  };
  return { verify, warnings };
}
