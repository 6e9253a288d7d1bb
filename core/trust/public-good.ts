import root from './public-good/root.json' with { type: 'text' };
import signingConfig from './public-good/signing_config.v0.2.json' with { type: 'text' };
import signingConfigRekorV2 from './public-good/signing_config_rekor_v2.v0.2.json' with { type: 'text' };
import trustedRoot from './public-good/trusted_root.json' with { type: 'text' };

// The compiler goes by the file name and takes the imports for parsed JSON; `type: 'text'` makes them strings.
const text = (imported: unknown): string => imported as string;

/**
 * The public-good instance of Sigstore as its TUF repository had it on `asOf`, unparsed. What stands here beside the files
 * (a test compares) spares a verification from parsing TUF metadata.
 */
export const PUBLIC_GOOD = {
  name: 'public-good',
  tufUrl: 'https://tuf-repo-cdn.sigstore.dev',
  asOf: new Date('2026-08-22T00:00:00Z'),
  /** Of `root`. */
  fingerprint: 'sha256:73747011d0857ada15479a16c4cae0f3ed03aac698b523b97e1de314ac9d9ca8',
  rootVersion: 15,
  rootExpires: new Date('2026-11-20T13:58:18Z'),
  targetsVersion: 14,
  root: text(root),
  trustedRoot: text(trustedRoot),
  signingConfig: text(signingConfig),
  signingConfigRekorV2: text(signingConfigRekorV2),
} as const;
