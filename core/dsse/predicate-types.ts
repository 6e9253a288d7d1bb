import { InputError } from '../errors.ts';

/** The short names of predicate types that cosign uses too, and their URIs. */
export const PREDICATE_TYPES = {
  custom: 'https://cosign.sigstore.dev/attestation/v1',
  cyclonedx: 'https://cyclonedx.org/bom',
  link: 'https://in-toto.io/Link/v1',
  openvex: 'https://openvex.dev/ns',
  slsaprovenance: 'https://slsa.dev/provenance/v0.2',
  slsaprovenance02: 'https://slsa.dev/provenance/v0.2',
  slsaprovenance1: 'https://slsa.dev/provenance/v1',
  spdx: 'https://spdx.dev/Document',
  spdxjson: 'https://spdx.dev/Document',
  vuln: 'https://cosign.sigstore.dev/attestation/vuln/v1',
} as const satisfies Record<string, string>;

const isShortName = (text: string): text is keyof typeof PREDICATE_TYPES => Object.hasOwn(PREDICATE_TYPES, text);

/** The predicate type URI of a short name, or the URI itself. PREDICATE_INVALID */
export function predicateTypeUri(text: string): string {
  if (isShortName(text)) return PREDICATE_TYPES[text];
  if (/^[a-z][a-z0-9+.-]*:[!-~]+$/i.test(text)) return text;
  throw new InputError('PREDICATE_INVALID', `${JSON.stringify(text)} is not a predicate type`, {
    hint: `give a URI or one of ${Object.keys(PREDICATE_TYPES).join(', ')}`,
  });
}
