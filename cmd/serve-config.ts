import { type Issuer, parseIssuers } from '../ca/issuers.ts';
import type { Json } from '../core/bytes/json.ts';
import { InputError } from '../core/errors.ts';
import type { Limits } from '../server.ts';
import type { WitnessPolicy } from '../tlog/witnessed-log.ts';
import { parseLimits } from './serve-limits.ts';
import { parseWitnessing } from './serve-witnessing.ts';

/** What the file of `serve --config` may say; flags win over it. */
export interface ServeFile {
  readonly listen?: string;
  readonly publicUrl?: string;
  readonly data?: string;
  readonly logFormat?: 'text' | 'json';
  readonly metrics?: string;
  readonly limits?: Partial<Limits>;
  readonly issuers?: readonly Issuer[];
  readonly witness?: WitnessPolicy;
}

/** The keys of ServeFile. */
export const SERVE_KEYS: readonly string[] = [
  'listen',
  'publicUrl',
  'data',
  'logFormat',
  'metrics',
  'limits',
  'issuers',
  'witness',
];

/**
 * Parses the configuration. Unknown keys are errors, and all errors are reported at once: CONFIG_INVALID with one line a
 * problem.
 */
export function parseServeFile(json: Json): ServeFile {
  if (json === null || typeof json !== 'object' || Array.isArray(json)) {
    throw new InputError('CONFIG_INVALID', 'not a JSON object');
  }
  const problems: string[] = [];
  const text = (key: string): string | undefined => {
    const value = json[key];
    if (value === undefined || (typeof value === 'string' && value !== '')) return value;
    problems.push(`${key}: expected a string`);
    return undefined;
  };
  const [listen, publicUrl, data, logFormat, metrics] = [
    text('listen'),
    text('publicUrl'),
    text('data'),
    text('logFormat'),
    text('metrics'),
  ];
  if (logFormat !== undefined && logFormat !== 'text' && logFormat !== 'json') {
    problems.push('logFormat: expected "text" or "json"');
  }
  const issuers = json['issuers'] === undefined ? undefined : parseIssuers(json['issuers'], 'issuers', problems);
  const limits = json['limits'] === undefined ? undefined : parseLimits(json['limits'], 'limits', problems);
  const witness = json['witness'] === undefined ? undefined : parseWitnessing(json['witness'], 'witness', problems);
  for (const key of Object.keys(json)) if (!SERVE_KEYS.includes(key)) problems.push(`${key}: unknown key`);
  if (problems.length > 0) {
    const count = problems.length === 1 ? 'an error' : `${problems.length} errors`;
    throw new InputError('CONFIG_INVALID', `has ${count}: ${problems.join('; ')}`);
  }
  return {
    ...(listen === undefined ? {} : { listen }),
    ...(publicUrl === undefined ? {} : { publicUrl }),
    ...(data === undefined ? {} : { data }),
    ...(logFormat === 'text' || logFormat === 'json' ? { logFormat } : {}),
    ...(metrics === undefined ? {} : { metrics }),
    ...(limits === undefined ? {} : { limits }),
    ...(issuers === undefined ? {} : { issuers }),
    ...(witness === undefined ? {} : { witness }),
  };
}

export interface ListenAddress {
  readonly hostname: string;
  /** 0: a free one. */
  readonly port: number;
  readonly wildcard: boolean;
}

/** `host:port`, `[::1]:port` or `:port` (every address). USAGE-like CONFIG_INVALID if it is none of these. */
export function parseListen(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new InputError('CONFIG_INVALID', `${JSON.stringify(text)} is not an address to listen on`, {
      hint: 'hallmark serve --listen 127.0.0.1:8080',
    });
  }
  const hostname = match[1] ?? match[2] ?? '';
  const wildcard = hostname === '' || hostname === '0.0.0.0' || hostname === '::';
  return { hostname: hostname === '' ? '::' : hostname, port, wildcard };
}

/** An http(s) URL of host and optional port, without a final slash: Fulcio has to sit at the root of its host. */
export function parsePublicUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url && (url.protocol === 'http:' || url.protocol === 'https:') && `${url.protocol}//${url.host}`;
  if (!url || !plain || (text !== plain && text !== `${plain}/`)) {
    throw new InputError('CONFIG_INVALID', `${JSON.stringify(text)} is not a public URL: scheme, host and port alone`, {
      hint: 'hallmark serve --url https://sigstore.example.com',
    });
  }
  return plain;
}
