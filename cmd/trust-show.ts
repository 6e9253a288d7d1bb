import { serializeBase64 } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { serializeTime } from '../core/trust/fields.ts';
import type { Service, SigningConfig } from '../core/trust/signing-config.ts';
import type { TrustedRoot } from '../core/trust/trusted-root.ts';
import type { Validity } from '../core/x509/validity.ts';
import { errorJson } from './exit.ts';
import { printable } from './report.ts';
import {
  ageInDays,
  type Instance,
  readSigningConfig,
  readTrustedRoot,
  SIGNING_CONFIG,
  SIGNING_CONFIG_REKOR_V2,
  type UnusableInstance,
} from './trust-instances.ts';

/** One line of `trust list`, for machines. */
export function summaryJson({ name, builtIn, meta }: Instance, inUse: string): Record<string, Json> {
  return {
    name,
    inUse: name === inUse,
    builtIn,
    url: meta.url ?? null,
    fingerprint: meta.fingerprint,
    fetchedAt: serializeTime(meta.fetchedAt),
    tufRoot: meta.rootVersion === undefined ? null : { version: meta.rootVersion, expires: time(meta.rootExpires) },
  };
}

/** What `trust list` says of something unusable to machines. */
export function unusableJson({ name, error }: UnusableInstance): Record<string, Json> {
  return { name, error: errorJson(error) };
}

/** `trust list` for people: the one in use has a star, what cannot be used an exclamation mark. */
export function listText(
  instances: readonly Instance[],
  unusable: readonly UnusableInstance[],
  inUse: string,
  now: Date,
): string {
  const width = Math.max(...[...instances, ...unusable].map(({ name }) => name.length));
  const problems = unusable.map(
    ({ name, error }) => `! ${printable(name.padEnd(width))}  unusable: ${printable(error.message)}\n`,
  );
  const usable = instances.map(({ name, meta }) => {
    const age = `${ageInDays(meta, now)} days old${isExpired(meta.rootExpires, now) ? ', TUF root expired' : ''}`;
    return `${name === inUse ? '*' : ' '} ${name.padEnd(width)}  ${printable(meta.url ?? 'from a file')}  (${age})\n`;
  });
  return [...usable, ...problems].join('');
}

/** `trust show` for machines. */
export function detailsJson(instance: Instance, inUse: string): Record<string, Json> {
  const root = readTrustedRoot(instance);
  return {
    ...summaryJson(instance, inUse),
    certificateAuthorities: root.certificateAuthorities.map(({ uri, validFor }) => ({ uri, ...validity(validFor) })),
    transparencyLogs: root.tlogs.map(logDetails),
    ctLogs: root.ctlogs.map(logDetails),
    timestampAuthorities: root.timestampAuthorities.map(({ uri, validFor }) => ({ uri, ...validity(validFor) })),
    services: servicesOf(readSigningConfig(instance, SIGNING_CONFIG)),
    servicesRekorV2: servicesOf(readSigningConfig(instance, SIGNING_CONFIG_REKOR_V2)),
  };
}

const logDetails = (log: TrustedRoot['tlogs'][number]): Json => ({
  url: log.baseUrl,
  logId: serializeBase64(log.logId),
  keyDetails: log.keyDetails,
  ...validity(log.validFor),
});

const time = (at: Date | undefined): string | null => (at === undefined ? null : serializeTime(at));
const validity = ({ start, end }: Validity): Record<string, Json> => ({ start: time(start), end: time(end) });

function servicesOf(config: SigningConfig | undefined): Json {
  if (config === undefined) return null;
  const list = (services: readonly Service[]): Json =>
    services.map(({ url, majorApiVersion, validFor }) => ({ url, majorApiVersion, ...validity(validFor) }));
  const { caUrls, oidcUrls, rekorTlogUrls, tsaUrls } = config;
  return { ca: list(caUrls), oidc: list(oidcUrls), rekor: list(rekorTlogUrls), tsa: list(tsaUrls) };
}

/** `trust show` for people. */
export function detailsText(instance: Instance, inUse: string, now: Date): string {
  const { name, builtIn, meta } = instance;
  const root = readTrustedRoot(instance);
  const config = readSigningConfig(instance, SIGNING_CONFIG);
  const notes = [name === inUse ? 'in use' : undefined, builtIn ? 'built in' : undefined].filter((note) => note);
  const expiry =
    meta.rootExpires && `${isExpired(meta.rootExpires, now) ? 'expired' : 'expires'} ${day(meta.rootExpires)}`;
  const lines: [string, readonly string[]][] = [
    ['name', [`${name}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`]],
    ['source', [meta.url ?? 'a file']],
    ['fingerprint', [meta.fingerprint]],
    ['fetched', [`${day(meta.fetchedAt)} (${ageInDays(meta, now)} days ago)`]],
    ['TUF root', meta.rootVersion === undefined ? [] : [`version ${meta.rootVersion}, ${expiry}`]],
    ['certificates by', root.certificateAuthorities.map((ca) => `${ca.uri}  ${span(ca.validFor)}`)],
    ['logged at', root.tlogs.map((log) => `${log.baseUrl}  ${span(log.validFor)}`)],
    ['CT logs', root.ctlogs.map((log) => `${log.baseUrl}  ${span(log.validFor)}`)],
    ['timestamps by', root.timestampAuthorities.map((tsa) => `${tsa.uri}  ${span(tsa.validFor)}`)],
    ['signs with', config === undefined ? ['no signing config: verifies only'] : signingUrls(config)],
  ];
  return lines
    .map(([label, values]) => values.map((value, i) => row(i === 0 ? `${label}:` : '', value)).join(''))
    .join('');
}

const row = (label: string, value: string): string => `${label.padEnd(17)}${printable(value)}\n`;
const signingUrls = (config: SigningConfig): string[] =>
  [config.caUrls, config.oidcUrls, config.rekorTlogUrls, config.tsaUrls].flat().map(({ url }) => url);
const span = ({ start, end }: Validity): string => `${start ? day(start) : ''}..${end ? day(end) : ''}`;
const day = (at: Date): string => at.toISOString().slice(0, 10);
const isExpired = (expires: Date | undefined, now: Date): boolean => expires !== undefined && now >= expires;
