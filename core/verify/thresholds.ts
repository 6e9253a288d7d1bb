import type { TrustedRoot } from '../trust/trusted-root.ts';
import type { Signer } from './signer.ts';

/** How many distinct witnesses of each kind have to vouch for a signature. */
export interface Thresholds {
  readonly logs: number;
  readonly ctLogs: number;
  readonly timestampAuthorities: number;
}

/**
 * What is required: for a certificate one log and one CT log, where the trusted root names any (an instance that runs none, as
 * GitHub's, has a trusted root without them); for a key nothing, though whatever is present is verified. `raised` can only
 * add. Independently of this a certificate is never accepted without a verified time.
 */
export function requiredThresholds(
  root: TrustedRoot,
  signer: Signer['kind'],
  raised: Partial<Thresholds> = {},
): Thresholds {
  const keyless = signer === 'certificate';
  return {
    logs: Math.max(keyless && root.tlogs.length > 0 ? 1 : 0, raised.logs ?? 0),
    ctLogs: Math.max(keyless && root.ctlogs.length > 0 ? 1 : 0, raised.ctLogs ?? 0),
    timestampAuthorities: raised.timestampAuthorities ?? 0,
  };
}
