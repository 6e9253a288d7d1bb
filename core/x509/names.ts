import { contextTag, type DerReader, TAG } from '../asn1/der.ts';
import { parseUtf8 } from '../bytes/bytes.ts';
import { InputError } from '../errors.ts';
import { MAX_CERTIFICATE_BYTES } from '../limits.ts';
import { type Certificate, findExtension } from './certificate.ts';
import { OID } from './oids.ts';
import { parseDer } from './parse-der.ts';

/** One subject alternative name of a kind that an identity can have. `otherName` is a Fulcio username, "user!domain". */
export interface AlternativeName {
  readonly kind: 'email' | 'uri' | 'dns' | 'otherName';
  readonly value: string;
}

/** Tags of GeneralName whose content is an IA5String (RFC 5280 §4.2.1.6). */
const TEXT_NAMES: ReadonlyMap<number, AlternativeName['kind']> = new Map([
  [contextTag(1, false), 'email'],
  [contextTag(2, false), 'dns'],
  [contextTag(6, false), 'uri'],
]);
const OTHER_NAME = contextTag(0);

const SAN = {
  code: 'CERTIFICATE_INVALID',
  what: 'a subject alternative name',
  maxBytes: MAX_CERTIFICATE_BYTES,
} as const;
const NAME = { code: 'CERTIFICATE_INVALID', what: 'a distinguished name', maxBytes: MAX_CERTIFICATE_BYTES } as const;

/** The names of the certificate's subject, in order; other kinds (addresses, directories) are left out. Errors: CERTIFICATE_INVALID. */
export function subjectAlternativeNames(certificate: Certificate): AlternativeName[] {
  const extension = findExtension(certificate, OID.subjectAlternativeName);
  if (extension === undefined) return [];
  return parseDer(extension.value, SAN, (reader) => {
    const list = reader.sequence();
    const names: AlternativeName[] = [];
    while (!list.done) {
      const kind = TEXT_NAMES.get(list.tag as number);
      if (kind !== undefined) {
        names.push({ kind, value: parseVisible(list.element().content) });
      } else if (list.tag === OTHER_NAME) {
        const value = readUsername(list.constructed(OTHER_NAME));
        if (value !== undefined) names.push({ kind: 'otherName', value });
      } else list.element();
    }
    return names;
  });
}

/** True for ASCII without control characters: they have hidden the end of a name from those who compare or print it. */
export const isVisible = (text: string): boolean => /^[\x20-\x7e]+$/.test(text);

function parseVisible(bytes: Uint8Array): string {
  const text = String.fromCharCode(...bytes);
  if (!isVisible(text))
    throw new InputError('CERTIFICATE_INVALID', 'not a subject alternative name: empty, or not visible ASCII');
  return text;
}

/** OtherName: its type and `[0] EXPLICIT` the value, for Fulcio's usernames a UTF8String. */
function readUsername(name: DerReader): string | undefined {
  const type = name.oid();
  const value = name.constructed(contextTag(0));
  name.end();
  if (type !== OID.fulcioUsername) return undefined;
  const text = parseUtf8(value.read(TAG.utf8String));
  value.end();
  return text;
}

/** The common name in a DER name, to show or to describe an authority; never an identity. Errors: CERTIFICATE_INVALID. */
export const commonName = (name: Uint8Array): string | undefined => findAttribute(name, OID.commonName);

/** The organization in a DER name. Errors: CERTIFICATE_INVALID. */
export const organization = (name: Uint8Array): string | undefined => findAttribute(name, OID.organization);

/** The first attribute of this type (RFC 5280 §4.1.2.4). */
function findAttribute(name: Uint8Array, type: string): string | undefined {
  return parseDer(name, NAME, (reader) => {
    let found: string | undefined;
    const relativeNames = reader.sequence();
    while (!relativeNames.done) {
      const attributes = relativeNames.set();
      while (!attributes.done) {
        const attribute = attributes.sequence();
        const isWanted = attribute.oid() === type;
        const { tag, content } = attribute.element();
        attribute.end();
        if (isWanted) found ??= parseText(tag, content);
      }
    }
    return found;
  });
}

/** DirectoryString in the forms that ASCII and UTF-8 cover; the others (TeletexString, BMPString) are history. */
function parseText(tag: number, content: Uint8Array): string | undefined {
  const isText = tag === TAG.utf8String || tag === TAG.printableString || tag === TAG.ia5String;
  return isText ? parseUtf8(content) : undefined;
}
