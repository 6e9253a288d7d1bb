import type { Fields } from '../../bytes/fields.ts';
import { parseStatement } from '../../dsse/statement.ts';
import { InputError } from '../../errors.ts';
import { MAX_FOREIGN_BUNDLES } from '../../limits.ts';
import type { Bundle } from '../bundle.ts';
import { type ConvertedBundle, embeddedBundle } from './converted.ts';

/**
 * The answer of an attestation endpoint: npm's `{attestations:[{predicateType, bundle}]}` or GitHub's
 * `{attestations:[{bundle, repository_id, ...}]}`. What stands around the bundles is unsigned and may grow: members that
 * are not known are passed over. BUNDLE_INVALID and the errors of `parseBundle`.
 */
export function convertAnswer(fields: Fields): ConvertedBundle[] {
  const attestations = fields.objects('attestations', MAX_FOREIGN_BUNDLES);
  if (attestations.length === 0) throw fields.fail('attestations', 'no attestation');
  return attestations.map((attestation) => {
    const json = attestation.json('bundle');
    if (json === undefined) throw missingBundle(attestation);
    const converted = embeddedBundle(json, `${attestation.path}.bundle`);
    const announced = attestation.optionalString('predicateType');
    if (announced !== undefined && announced !== signedPredicateType(converted.bundle)) {
      throw attestation.fail('predicateType', 'not the one that is signed');
    }
    return converted;
  });
}

// GitHub leaves large bundles, and since July 2026 all, in a blob store, compressed with Snappy.
function missingBundle(attestation: Fields): InputError {
  if (!attestation.has('bundle_url')) return attestation.fail('bundle', 'missing');
  return new InputError('BUNDLE_INVALID', `${attestation.path}: the answer has only the address of the bundle`, {
    hint: `what bundle_url names is compressed (Snappy); this fetches and unpacks it into a .jsonl, to be converted:
gh attestation download FILE --repo OWNER/NAME`,
  });
}

const signedPredicateType = ({ content }: Bundle): string | undefined =>
  content.kind === 'dsse' ? parseStatement(content.envelope.payload).predicateType : undefined;
