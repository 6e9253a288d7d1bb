import { Fields } from '../bytes/fields.ts';
import { parseJson } from '../bytes/json.ts';
import { InputError } from '../errors.ts';
import { parseSigningConfigJson, type SigningConfig, signingConfigJson } from './signing-config.ts';
import { parseTrustedRootJson, type TrustedRoot, trustedRootJson } from './trusted-root.ts';

/** Trusted root and signing config in one file (ClientTrustConfig of sigstore_trustroot.proto). */
export interface ClientTrustConfig {
  readonly trustedRoot: TrustedRoot;
  readonly signingConfig: SigningConfig;
}

const MEDIA_TYPE = 'application/vnd.dev.sigstore.clienttrustconfig.v0.1+json';
const CODE = 'TRUSTED_ROOT_INVALID';

/** Parses a client trust config v0.1. TRUSTED_ROOT_INVALID or SIGNING_CONFIG_INVALID, by the part that is wrong. */
export function parseClientTrustConfig(bytes: Uint8Array): ClientTrustConfig {
  const fields = new Fields(parseJson(bytes), '', CODE);
  const mediaType = fields.string('mediaType');
  if (mediaType !== MEDIA_TYPE) {
    throw new InputError(
      CODE,
      `not a client trust config: its mediaType is ${JSON.stringify(mediaType.slice(0, 100))}`,
      {
        hint: `give a file whose mediaType is ${MEDIA_TYPE}, or a trusted root with --trusted-root`,
      },
    );
  }
  return {
    trustedRoot: parseTrustedRootJson(fields.json('trustedRoot'), 'trustedRoot'),
    signingConfig: parseSigningConfigJson(fields.json('signingConfig'), 'signingConfig'),
  };
}

/** The file, indented. */
export function serializeClientTrustConfig({ trustedRoot, signingConfig }: ClientTrustConfig): string {
  const json = {
    mediaType: MEDIA_TYPE,
    trustedRoot: trustedRootJson(trustedRoot),
    signingConfig: signingConfigJson(signingConfig),
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}
