import {
  boolean,
  contextTag,
  element,
  explicit,
  integer,
  namedBits,
  nullValue,
  octetString,
  sequence,
  utf8String,
} from '../asn1/der.ts';
import { serializeUtf8 } from '../bytes/bytes.ts';
import { InputError } from '../errors.ts';
import { type Extension, KEY_USAGE } from './certificate.ts';
import { type AlternativeName, isVisible } from './names.ts';
import { OID, serializeOid } from './oids.ts';
import { type Sct, serializeSctList } from './sct.ts';

/** Key usage, critical. */
export function keyUsageExtension(...usages: readonly (keyof typeof KEY_USAGE)[]): Extension {
  const bits = usages.map((usage) => KEY_USAGE[usage]);
  return { oid: OID.keyUsage, critical: true, value: namedBits(...bits) };
}

/** Extended key usage of one purpose; critical for time stamping alone, as RFC 3161 §2.3 has it. */
export function extendedKeyUsageExtension(usage: 'codeSigning' | 'timeStamping', critical = false): Extension {
  return { oid: OID.extendedKeyUsage, critical, value: sequence(serializeOid(OID[usage])) };
}

/** Basic constraints of an authority, critical. `pathLength` counts the authorities allowed below it. */
export function authorityExtension(pathLength?: number): Extension {
  const fields = pathLength === undefined ? [boolean(true)] : [boolean(true), integer(pathLength)];
  return { oid: OID.basicConstraints, critical: true, value: sequence(...fields) };
}

/** Subject key identifier. */
export function subjectKeyIdExtension(keyId: Uint8Array): Extension {
  return { oid: OID.subjectKeyIdentifier, critical: false, value: octetString(keyId) };
}

/** Authority key identifier: the subject key identifier of the issuer. */
export function authorityKeyIdExtension(keyId: Uint8Array): Extension {
  return { oid: OID.authorityKeyIdentifier, critical: false, value: sequence(element(contextTag(0, false), keyId)) };
}

/**
 * Subject alternative names. Critical, as it has to be beside an empty subject (RFC 5280 §4.2.1.6). Errors: CERTIFICATE_INVALID
 * for what an IA5String cannot hold.
 */
export function alternativeNamesExtension(...names: readonly AlternativeName[]): Extension {
  return { oid: OID.subjectAlternativeName, critical: true, value: sequence(...names.map(serializeAlternativeName)) };
}

const NAME_TAGS = { email: contextTag(1, false), dns: contextTag(2, false), uri: contextTag(6, false) } as const;

function serializeAlternativeName({ kind, value }: AlternativeName): Uint8Array {
  if (kind === 'otherName')
    return element(contextTag(0), serializeOid(OID.fulcioUsername), explicit(0, utf8String(value)));
  if (!isVisible(value))
    throw new InputError('CERTIFICATE_INVALID', `not a name for a certificate: ${JSON.stringify(value.slice(0, 80))}`);
  return element(NAME_TAGS[kind], serializeUtf8(value));
}

/** The critical extension that makes a certificate a precertificate (RFC 6962 §3.1). */
export const precertificatePoisonExtension = (): Extension => ({
  oid: OID.precertificatePoison,
  critical: true,
  value: nullValue(),
});

/** The SCTs of the precertificate, embedded (RFC 6962 §3.3). */
export const sctListExtension = (scts: readonly Sct[]): Extension => ({
  oid: OID.sctList,
  critical: false,
  value: serializeSctList(scts),
});
