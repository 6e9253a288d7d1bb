import { InputError } from '../errors.ts';
import { FULCIO_CLAIMS, type FulcioClaimName, type FulcioClaims } from '../x509/fulcio.ts';
import { isMatch, type Matcher, matcherText } from './matcher.ts';

/** What a claim of the certificate has to be; without a matcher it has to be absent. */
export interface ClaimRequirement {
  readonly claim: FulcioClaimName;
  readonly matcher: Matcher | undefined;
}

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The name of every claim as policies write it: `sourceRepositoryUri` is source-repository-uri. */
const POLICY_NAMES = new Map((Object.keys(FULCIO_CLAIMS) as FulcioClaimName[]).map((claim) => [kebab(claim), claim]));
/** Short forms. */
const ALIASES = new Map<string, FulcioClaimName>([['source-repository', 'sourceRepositoryUri']]);

/** The claim of this name. POLICY_INVALID, with all names, if there is none. */
export function parseClaimName(name: string): FulcioClaimName {
  const claim = POLICY_NAMES.get(name) ?? ALIASES.get(name);
  if (claim !== undefined) return claim;
  throw new InputError('POLICY_INVALID', `there is no claim called ${JSON.stringify(name)}`, {
    hint: `claims: ${[...POLICY_NAMES.keys()].join(', ')}`,
  });
}

/** Why the first requirement that is not met is not, undefined if all are. */
export function unmetClaim(claims: FulcioClaims, requirements: readonly ClaimRequirement[]): string | undefined {
  for (const { claim, matcher } of requirements) {
    const found = claims[claim];
    if (found === undefined && matcher === undefined) continue;
    if (found === undefined) return `its certificate does not state ${kebab(claim)}`;
    if (matcher === undefined) return `its certificate states ${kebab(claim)}`;
    if (!isMatch(matcher, found)) return `${kebab(claim)} is ${found}, not ${matcherText(matcher)}`;
  }
  return undefined;
}
