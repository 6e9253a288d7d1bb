import { TAG, utf8String } from '../asn1/der.ts';
import { parseUtf8, serializeUtf8 } from '../bytes/bytes.ts';
import { MAX_CERTIFICATE_BYTES } from '../limits.ts';
import type { Certificate, Extension } from './certificate.ts';
import { OID } from './oids.ts';
import { parseDer } from './parse-der.ts';

/**
 * Fulcio's extensions, 1.3.6.1.4.1.57264.1.N, by name in the order that it writes them. The first six hold bare UTF-8, all
 * later ones a DER UTF8String. N = 7 is no extension but the type of a username (names.ts).
 */
export const FULCIO_CLAIMS = {
  issuer: { arc: 1, form: 'bare' },
  githubWorkflowTrigger: { arc: 2, form: 'bare' },
  githubWorkflowSha: { arc: 3, form: 'bare' },
  githubWorkflowName: { arc: 4, form: 'bare' },
  githubWorkflowRepository: { arc: 5, form: 'bare' },
  githubWorkflowRef: { arc: 6, form: 'bare' },
  issuerV2: { arc: 8, form: 'der' },
  buildSignerUri: { arc: 9, form: 'der' },
  buildSignerDigest: { arc: 10, form: 'der' },
  runnerEnvironment: { arc: 11, form: 'der' },
  sourceRepositoryUri: { arc: 12, form: 'der' },
  sourceRepositoryDigest: { arc: 13, form: 'der' },
  sourceRepositoryRef: { arc: 14, form: 'der' },
  sourceRepositoryIdentifier: { arc: 15, form: 'der' },
  sourceRepositoryOwnerUri: { arc: 16, form: 'der' },
  sourceRepositoryOwnerIdentifier: { arc: 17, form: 'der' },
  buildConfigUri: { arc: 18, form: 'der' },
  buildConfigDigest: { arc: 19, form: 'der' },
  buildTrigger: { arc: 20, form: 'der' },
  runInvocationUri: { arc: 21, form: 'der' },
  sourceRepositoryVisibilityAtSigning: { arc: 22, form: 'der' },
  deploymentEnvironment: { arc: 23, form: 'der' },
  tokenSubject: { arc: 24, form: 'der' },
} as const satisfies Record<string, { arc: number; form: 'bare' | 'der' }>;

export type FulcioClaimName = keyof typeof FULCIO_CLAIMS;
export type FulcioClaims = Readonly<Partial<Record<FulcioClaimName, string>>>;

const CLAIM_NAMES = Object.keys(FULCIO_CLAIMS) as FulcioClaimName[];
const NAME_BY_OID: ReadonlyMap<string, FulcioClaimName> = new Map(
  CLAIM_NAMES.map((name) => [`${OID.fulcio}.${FULCIO_CLAIMS[name].arc}`, name]),
);

const CLAIM = { code: 'CERTIFICATE_INVALID', what: 'a Fulcio extension', maxBytes: MAX_CERTIFICATE_BYTES } as const;

// Asked for by several steps of a verification.
const read = new WeakMap<Certificate, FulcioClaims>();

/** The claims in the certificate's Fulcio extensions. Errors: CERTIFICATE_INVALID, ENCODING_INVALID. */
export function fulcioClaims(certificate: Certificate): FulcioClaims {
  const known = read.get(certificate);
  if (known !== undefined) return known;
  const claims: { -readonly [name in keyof FulcioClaims]: FulcioClaims[name] } = {};
  for (const { oid, value } of certificate.extensions) {
    const name = NAME_BY_OID.get(oid);
    if (name !== undefined) claims[name] = parseClaim(name, value);
  }
  read.set(certificate, claims);
  return claims;
}

/** The OIDC issuer that the certificate names, in the newer extension where it has both. Errors: as `fulcioClaims`. */
export function oidcIssuer(certificate: Certificate): string | undefined {
  const claims = fulcioClaims(certificate);
  return claims.issuerV2 ?? claims.issuer;
}

/** The extensions that carry these claims, in Fulcio's order; absent and empty ones are left out. */
export function serializeFulcioClaims(claims: FulcioClaims): Extension[] {
  const extensions: Extension[] = [];
  for (const name of CLAIM_NAMES) {
    const text = claims[name];
    if (text === undefined || text === '') continue;
    const { arc, form } = FULCIO_CLAIMS[name];
    const value = form === 'der' ? utf8String(text) : serializeUtf8(text);
    extensions.push({ oid: `${OID.fulcio}.${arc}`, critical: false, value });
  }
  return extensions;
}

function parseClaim(name: FulcioClaimName, value: Uint8Array): string {
  if (FULCIO_CLAIMS[name].form === 'bare') return parseUtf8(value);
  return parseDer(value, CLAIM, (reader) => parseUtf8(reader.read(TAG.utf8String)));
}
