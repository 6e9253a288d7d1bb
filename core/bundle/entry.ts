import { equal, serializeUtf8 } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { canonicalizeJson, type Json, parseJson } from '../bytes/json.ts';
import { InputError } from '../errors.ts';
import {
  type DsseV001,
  dsseV001Json,
  type HashedRekordV001,
  hashedRekordV001Json,
  type IntotoV001,
  type IntotoV002,
  intotoV001Json,
  intotoV002Json,
  parseDsseV001,
  parseHashedRekordV001,
  parseIntotoV001,
  parseIntotoV002,
  parseRekordV001,
  parseRfc3161V001,
  type RekordV001,
  type Rfc3161V001,
  rekordV001Json,
  rfc3161V001Json,
} from './entry-v1.ts';
import {
  type DsseV002,
  dsseV002Json,
  type HashedRekordV002,
  hashedRekordV002Json,
  parseDsseV002,
  parseHashedRekordV002,
} from './entry-v2.ts';

/** The body of a log entry: what `kind` and `version` say it is. */
export type EntryBody =
  | HashedRekordV001
  | DsseV001
  | IntotoV001
  | IntotoV002
  | RekordV001
  | Rfc3161V001
  | HashedRekordV002
  | DsseV002;

/** The kinds that are understood, by `kind version`, and the log's dialect (Rekor v1 or v2) that they belong to. */
const KINDS: Readonly<Record<string, { readonly dialect: 1 | 2; readonly parse: (spec: Fields) => EntryBody }>> = {
  'hashedrekord 0.0.1': { dialect: 1, parse: parseHashedRekordV001 },
  'dsse 0.0.1': { dialect: 1, parse: parseDsseV001 },
  'intoto 0.0.1': { dialect: 1, parse: parseIntotoV001 },
  'intoto 0.0.2': { dialect: 1, parse: parseIntotoV002 },
  'rekord 0.0.1': { dialect: 1, parse: parseRekordV001 },
  'rfc3161 0.0.1': { dialect: 1, parse: parseRfc3161V001 },
  'hashedrekord 0.0.2': { dialect: 2, parse: parseHashedRekordV002 },
  'dsse 0.0.2': { dialect: 2, parse: parseDsseV002 },
};

/**
 * Parses a canonicalized body. Only the one canonical spelling (RFC 8785) with the known fields is accepted, so that what
 * is compared later is all that was logged. ENTRY_INVALID, JSON_*
 */
export function parseEntryBody(bytes: Uint8Array): EntryBody {
  const fields = new Fields(parseJson(bytes), '', 'ENTRY_INVALID');
  const name = `${fields.string('kind')} ${fields.string('apiVersion')}`;
  const row = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (row === undefined) {
    throw new InputError('ENTRY_INVALID', `entries of kind ${JSON.stringify(name.slice(0, 80))} are not supported`, {
      hint: `supported are ${Object.keys(KINDS).join(', ')}`,
    });
  }
  const body = row.parse(fields.object('spec'));
  if (!equal(serializeEntryBody(body), bytes)) {
    throw new InputError('ENTRY_INVALID', `the ${name} entry has unknown fields or is not in canonical form`);
  }
  return body;
}

/** The dialect of the log that the entry belongs to, told by the body alone. */
export function dialectOf({ kind, version }: Pick<EntryBody, 'kind' | 'version'>): 1 | 2 {
  const row = KINDS[`${kind} ${version}`];
  if (row === undefined) throw new Error(`internal: no dialect for ${kind} ${version}`);
  return row.dialect;
}

/** The one spelling of a body: what `parseEntryBody` accepts. */
export function serializeEntryBody(body: EntryBody): Uint8Array {
  switch (body.kind) {
    case 'hashedrekord':
      return body.version === '0.0.1' ? serializeHashedRekordV001(body) : serializeHashedRekordV002(body);
    case 'dsse':
      return body.version === '0.0.1' ? serializeDsseV001(body) : serialize('dsse', '0.0.2', dsseV002Json(body));
    case 'intoto':
      return serialize('intoto', body.version, body.version === '0.0.1' ? intotoV001Json(body) : intotoV002Json(body));
    case 'rekord':
      return serialize('rekord', body.version, rekordV001Json(body));
    case 'rfc3161':
      return serialize('rfc3161', body.version, rfc3161V001Json(body));
  }
}

/** hashedrekord 0.0.1, the body and also the request to log it. */
export const serializeHashedRekordV001 = (body: Omit<HashedRekordV001, 'kind' | 'version'>): Uint8Array =>
  serialize('hashedrekord', '0.0.1', hashedRekordV001Json(body));

/** dsse 0.0.1; the signatures are put in Rekor's order. */
export const serializeDsseV001 = (body: Omit<DsseV001, 'kind' | 'version'>): Uint8Array =>
  serialize('dsse', '0.0.1', dsseV001Json(body));

/** hashedrekord 0.0.2. */
export const serializeHashedRekordV002 = (body: Omit<HashedRekordV002, 'kind' | 'version'>): Uint8Array =>
  serialize('hashedrekord', '0.0.2', hashedRekordV002Json(body));

const serialize = (kind: EntryBody['kind'], apiVersion: EntryBody['version'], spec: Json): Uint8Array =>
  serializeUtf8(canonicalizeJson({ apiVersion, kind, spec }));
