import { TrustError } from '../errors.ts';
import { type SigningConfig, selectServices } from '../trust/signing-config.ts';

/** A transparency log to submit to, and the dialect that it speaks. */
export interface LogService {
  readonly version: 1 | 2;
  readonly url: string;
}

/** The services that one signing uses. */
export interface SigningServices {
  readonly certificateAuthority: string | undefined;
  /** Full URLs, path included. */
  readonly timestampAuthorities: readonly string[];
  readonly logs: readonly LogService[];
}

/** Dialects of transparency logs that this program speaks (Rekor v1 and v2). */
const LOG_VERSIONS: readonly number[] = [1, 2];

/**
 * Chooses the services by the signing config's rules. `logVersion` holds it to one dialect. NO_SERVICE_CONFIGURED if
 * nothing usable is left, or if nothing would prove when the signature was made.
 */
export function chooseServices(
  config: SigningConfig,
  now: Date,
  random: (bytes: number) => Uint8Array,
  logVersion?: 1 | 2,
): SigningServices {
  const select = (kind: 'ca' | 'rekor' | 'tsa', versions: readonly number[]) =>
    selectServices(config, kind, versions, now, random);
  const [authority] = select('ca', [1]);
  const services = {
    certificateAuthority: authority?.url,
    timestampAuthorities: select('tsa', [1]).map(({ url }) => url),
    logs: select('rekor', logVersion === undefined ? LOG_VERSIONS : [logVersion]).map(
      ({ url, majorApiVersion }): LogService => ({ url, version: majorApiVersion === 1 ? 1 : 2 }),
    ),
  };
  requireTime(services);
  return services;
}

// Only a Rekor v1 log signs the time at which it took an entry; Rekor v2 has none (CLIENTS.md of rekor-tiles).
function requireTime({ logs, timestampAuthorities }: SigningServices): void {
  if (timestampAuthorities.length > 0 || logs.some(({ version }) => version === 1)) return;
  throw new TrustError(
    'NO_SERVICE_CONFIGURED',
    logs.length === 0
      ? 'the signing config names neither a transparency log nor a timestamp authority'
      : 'a Rekor v2 log vouches for no time, and the signing config names no timestamp authority',
    { hint: 'add a timestamp authority to tsaUrls of the signing config' },
  );
}
