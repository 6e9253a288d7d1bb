import { Fields } from '../bytes/fields.ts';
import { type Json, parseJson } from '../bytes/json.ts';
import { InputError, TrustError } from '../errors.ts';
import { MAX_TRUST_INSTANCES } from '../limits.ts';
import { isValidAt, type Validity } from '../x509/validity.ts';
import { parseValidity, requirePublishedUrl, validityJson } from './fields.ts';

/** One service that a signer may use (Service of sigstore_trustroot.proto). */
export interface Service {
  readonly url: string;
  readonly majorApiVersion: number;
  readonly validFor: Validity;
  readonly operator: string;
}

/** How many of the usable services are used. */
export type ServiceSelector =
  | { readonly selector: 'ANY' }
  | { readonly selector: 'ALL' }
  | { readonly selector: 'EXACT'; readonly count: number };

/** Where a signer finds its services (SigningConfig of sigstore_trustroot.proto, v0.2). */
export interface SigningConfig {
  readonly caUrls: readonly Service[];
  readonly oidcUrls: readonly Service[];
  readonly rekorTlogUrls: readonly Service[];
  readonly tsaUrls: readonly Service[];
  readonly rekorTlogConfig: ServiceSelector;
  readonly tsaConfig: ServiceSelector;
}

export type ServiceKind = 'ca' | 'oidc' | 'rekor' | 'tsa';

const MEDIA_TYPE = 'application/vnd.dev.sigstore.signingconfig.v0.2+json';
const CODE = 'SIGNING_CONFIG_INVALID';

/** Parses signing_config.v0.2.json; members that are not known are passed over. SIGNING_CONFIG_INVALID. */
export function parseSigningConfig(bytes: Uint8Array): SigningConfig {
  return parseSigningConfigJson(parseJson(bytes), '');
}

/** The same from JSON that lies at `path` within a larger document. */
export function parseSigningConfigJson(json: Json | undefined, path: string): SigningConfig {
  const fields = new Fields(json, path, CODE);
  const mediaType = fields.string('mediaType');
  if (mediaType !== MEDIA_TYPE) {
    throw new InputError(
      CODE,
      `not a signing config v0.2: its mediaType is ${JSON.stringify(mediaType.slice(0, 100))}`,
      {
        hint: `give a signing_config.v0.2.json, whose mediaType is ${MEDIA_TYPE}`,
      },
    );
  }
  const services = (key: string): Service[] => fields.objects(key, MAX_TRUST_INSTANCES).map(parseService);
  const config = {
    caUrls: services('caUrls'),
    oidcUrls: services('oidcUrls'),
    rekorTlogUrls: services('rekorTlogUrls'),
    tsaUrls: services('tsaUrls'),
  };
  return {
    ...config,
    rekorTlogConfig: parseSelector(fields, 'rekorTlogConfig', config.rekorTlogUrls),
    tsaConfig: parseSelector(fields, 'tsaConfig', config.tsaUrls),
  };
}

function parseService(fields: Fields): Service {
  const url = fields.string('url');
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw fields.fail('url', 'not an http(s) URL');
  const majorApiVersion = fields.optionalInteger('majorApiVersion', 1, 2 ** 31 - 1);
  if (majorApiVersion === undefined) throw fields.fail('majorApiVersion', 'missing');
  return { url, majorApiVersion, validFor: parseValidity(fields), operator: fields.optionalString('operator') ?? '' };
}

// A config that names services has to say how many of them are wanted; without any, the question does not arise.
function parseSelector(fields: Fields, key: string, services: readonly Service[]): ServiceSelector {
  const configuration = fields.optionalObject(key);
  if (configuration === undefined) {
    if (services.length > 0) throw fields.fail(key, 'missing, though services are listed');
    return { selector: 'ANY' };
  }
  const selector = configuration.string('selector');
  if (selector === 'ANY' || selector === 'ALL') return { selector };
  if (selector !== 'EXACT') throw configuration.fail('selector', 'expected ANY, ALL or EXACT');
  const count = configuration.optionalInteger('count', 1, MAX_TRUST_INSTANCES);
  if (count === undefined) throw configuration.fail('count', 'missing, though the selector is EXACT');
  return { selector, count };
}

const KINDS = {
  ca: { list: 'caUrls', what: 'certificate authority' },
  oidc: { list: 'oidcUrls', what: 'identity provider' },
  rekor: { list: 'rekorTlogUrls', what: 'transparency log' },
  tsa: { list: 'tsaUrls', what: 'timestamp authority' },
} as const satisfies Record<ServiceKind, { list: keyof SigningConfig; what: string }>;

/**
 * The services of one kind to use now, by the signing config's own rules: valid at `now`; the highest API version that
 * is supported and no other; the newest of each operator; of these one at random (ANY), all, or exactly n. Certificate
 * authority and identity provider: always one, the newest. Empty if the config lists none of the kind;
 * NO_SERVICE_CONFIGURED if it lists some and too few are usable.
 */
export function selectServices(
  config: SigningConfig,
  kind: ServiceKind,
  supportedVersions: readonly number[],
  now: Date,
  random: (bytes: number) => Uint8Array,
): Service[] {
  const { list, what } = KINDS[kind];
  const listed = config[list];
  if (listed.length === 0) return [];

  const valid = listed.filter((service) => isValidAt(service.validFor, now));
  const version = Math.max(...valid.map((s) => s.majorApiVersion).filter((v) => supportedVersions.includes(v)));
  const usable = newestOfEachOperator(valid.filter((service) => service.majorApiVersion === version));
  const selector = selectorOf(config, kind);
  const wanted = selector.selector === 'ALL' ? usable.length : selector.selector === 'ANY' ? 1 : selector.count;
  if (usable.length === 0 || usable.length < wanted) {
    throw new TrustError(
      'NO_SERVICE_CONFIGURED',
      `the signing config has ${usable.length} usable of ${listed.length} listed ${what} services and wants ${Math.max(wanted, 1)}`,
      {
        hint: `API versions supported: ${supportedVersions.join(', ')}. Refresh the signing config: hallmark trust update`,
      },
    );
  }
  return kind === 'ca' || kind === 'oidc' ? usable.slice(0, 1) : sample(usable, wanted, random);
}

function selectorOf(config: SigningConfig, kind: ServiceKind): ServiceSelector {
  if (kind === 'rekor') return config.rekorTlogConfig;
  return kind === 'tsa' ? config.tsaConfig : { selector: 'ANY' };
}

// Newest first, as the order of the result.
function newestOfEachOperator(services: readonly Service[]): Service[] {
  const start = ({ validFor }: Service): number => validFor.start?.getTime() ?? Number.NEGATIVE_INFINITY;
  const operators = new Set<string>();
  return services
    .toSorted((a, b) => (start(a) === start(b) ? 0 : start(b) - start(a)))
    .filter(({ operator }) => !operators.has(operator) && operators.add(operator));
}

function sample(services: readonly Service[], count: number, random: (bytes: number) => Uint8Array): Service[] {
  const left = [...services];
  const chosen: Service[] = [];
  while (chosen.length < count) {
    const at = Buffer.from(random(4)).readUInt32BE() % left.length;
    chosen.push(...left.splice(at, 1));
  }
  return chosen;
}

/** signing_config.v0.2.json, indented. Both selectors are always there: cosign crashes without them. */
export function serializeSigningConfig(config: SigningConfig): string {
  return `${JSON.stringify(signingConfigJson(config), null, 2)}\n`;
}

export function signingConfigJson(config: SigningConfig): Json {
  return {
    mediaType: MEDIA_TYPE,
    caUrls: config.caUrls.map(serviceJson),
    oidcUrls: config.oidcUrls.map(serviceJson),
    rekorTlogUrls: config.rekorTlogUrls.map(serviceJson),
    tsaUrls: config.tsaUrls.map(serviceJson),
    rekorTlogConfig: { ...config.rekorTlogConfig },
    tsaConfig: { ...config.tsaConfig },
  };
}

function serviceJson(service: Service): Json {
  return {
    url: requirePublishedUrl(service.url),
    majorApiVersion: service.majorApiVersion,
    validFor: validityJson(service.validFor),
    operator: service.operator,
  };
}
