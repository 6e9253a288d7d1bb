import { serializeUtf8 } from '../bytes/bytes.ts';
import type { PublicKey } from '../crypto/public-key.ts';
import type { Certificate } from '../x509/certificate.ts';
import type { Validity } from '../x509/validity.ts';
import { composeAuthority, composeLog, logIdOf, requireChainInOrder } from './compose.ts';
import {
  parseSigningConfig,
  type Service,
  type ServiceSelector,
  type SigningConfig,
  serializeSigningConfig,
} from './signing-config.ts';
import { parseTrustedRoot, requireWellFormed, serializeTrustedRoot, type TrustedRoot } from './trusted-root.ts';

interface NewService {
  /** Without a final slash. */
  readonly url: string;
  readonly validFor: Validity;
  readonly operator: string;
}

/** A certificate or timestamp authority: issuing or stamping certificate first, root last. */
export interface NewAuthority extends NewService {
  readonly chain: readonly Certificate[];
}

/** A Rekor v1 log, or a Rekor v2 log with the origin of its checkpoints. */
export interface NewLog extends NewService {
  readonly publicKey: PublicKey;
  readonly rekorV2Origin: string | undefined;
}

/** Verifiers alone need to know a CT log. */
export type NewCtLog = Pick<NewLog, 'url' | 'validFor' | 'publicKey'>;

/** The parts of an instance. */
export interface NewTrust {
  readonly certificateAuthorities: readonly NewAuthority[];
  readonly timestampAuthorities: readonly NewAuthority[];
  readonly logs: readonly NewLog[];
  readonly ctLogs: readonly NewCtLog[];
  readonly oidcProviders: readonly NewService[];
  readonly rekorTlogConfig: ServiceSelector | undefined;
  readonly tsaConfig: ServiceSelector | undefined;
  /** An instance whose parts come behind the new ones. */
  readonly base: CreatedTrust | undefined;
}

/** As clients choose differently where both stand in one file, each Rekor version has its own signing config. */
export interface CreatedTrust {
  readonly trustedRoot: TrustedRoot;
  /** With Rekor v1, else with what there is. */
  readonly signingConfig: SigningConfig;
  /** With Rekor v2; undefined unless there is v1 as well. */
  readonly signingConfigRekorV2: SigningConfig | undefined;
}

/**
 * Trusted root and signing configs of an instance from its keys and certificates. What was made is serialized and parsed
 * again: CERTIFICATE_INVALID, KEY_UNSUPPORTED, TRUSTED_ROOT_INVALID or SIGNING_CONFIG_INVALID if it could not be used.
 */
export function createTrust(parts: NewTrust): CreatedTrust {
  const { base } = parts;
  for (const { chain } of [...parts.certificateAuthorities, ...parts.timestampAuthorities]) requireChainInOrder(chain);
  const authority = ({ chain, url, validFor }: NewAuthority) => composeAuthority(chain, url, validFor);
  const trustedRoot: TrustedRoot = {
    tlogs: [
      ...parts.logs.map(({ url, publicKey, rekorV2Origin, validFor }) =>
        composeLog(url, publicKey, logIdOf(publicKey, rekorV2Origin), validFor),
      ),
      ...(base?.trustedRoot.tlogs ?? []),
    ],
    certificateAuthorities: [
      ...parts.certificateAuthorities.map(authority),
      ...(base?.trustedRoot.certificateAuthorities ?? []),
    ],
    ctlogs: [
      ...parts.ctLogs.map(({ url, publicKey, validFor }) =>
        composeLog(url, publicKey, logIdOf(publicKey, undefined), validFor),
      ),
      ...(base?.trustedRoot.ctlogs ?? []),
    ],
    timestampAuthorities: [
      ...parts.timestampAuthorities.map(authority),
      ...(base?.trustedRoot.timestampAuthorities ?? []),
    ],
  };
  const logs = (version: 1 | 2): Service[] =>
    parts.logs
      .filter(({ rekorV2Origin }) => (rekorV2Origin === undefined) === (version === 1))
      .map((log) => service(log, version));
  const [v1, v2] = [logs(1), logs(2)];
  const hasBoth = base !== undefined || (v1.length > 0 && v2.length > 0);
  return {
    trustedRoot: parsedAgain(trustedRoot),
    signingConfig: signingConfigOf(parts, hasBoth ? v1 : [...v1, ...v2], base?.signingConfig),
    signingConfigRekorV2: hasBoth ? signingConfigOf(parts, v2, base?.signingConfigRekorV2) : undefined,
  };
}

function signingConfigOf(parts: NewTrust, logs: readonly Service[], base: SigningConfig | undefined): SigningConfig {
  const first = (services: readonly NewService[]): Service[] => services.map((each) => service(each, 1));
  const config: SigningConfig = {
    caUrls: [...first(parts.certificateAuthorities), ...(base?.caUrls ?? [])],
    oidcUrls: [...first(parts.oidcProviders), ...(base?.oidcUrls ?? [])],
    rekorTlogUrls: [...logs, ...(base?.rekorTlogUrls ?? [])],
    tsaUrls: [...first(parts.timestampAuthorities), ...(base?.tsaUrls ?? [])],
    rekorTlogConfig: parts.rekorTlogConfig ?? base?.rekorTlogConfig ?? { selector: 'ANY' },
    tsaConfig: parts.tsaConfig ?? base?.tsaConfig ?? { selector: 'ANY' },
  };
  return parseSigningConfig(serializeUtf8(serializeSigningConfig(config)));
}

const service = ({ url, validFor, operator }: NewService, majorApiVersion: number): Service => ({
  url,
  majorApiVersion,
  validFor,
  operator,
});

function parsedAgain(made: TrustedRoot): TrustedRoot {
  const parsed = parseTrustedRoot(serializeUtf8(serializeTrustedRoot(made)));
  requireWellFormed(parsed);
  // The parser passes over logs that it does not understand.
  if (parsed.tlogs.length !== made.tlogs.length || parsed.ctlogs.length !== made.ctlogs.length)
    throw new Error('internal: a log was lost');
  return parsed;
}
