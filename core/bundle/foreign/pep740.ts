import { serializeUtf8 } from '../../bytes/bytes.ts';
import type { Fields } from '../../bytes/fields.ts';
import type { Json } from '../../bytes/json.ts';
import { parseStatement, type Statement } from '../../dsse/statement.ts';
import { VerificationError } from '../../errors.ts';
import { MAX_FOREIGN_BUNDLES, MAX_TLOG_ENTRIES } from '../../limits.ts';
import { parseBundle, serializeBundle } from '../bundle.ts';
import { type ConvertedBundle, within } from './converted.ts';

/**
 * PEP 740: an attestation object, or an index's provenance object with the attestations of each publisher, as version 0.3.
 * `fileName`: the distribution that they have to be about, where it is known; SUBJECT_MISMATCH if they are not, for a
 * digest alone would not tell. BUNDLE_INVALID, STATEMENT_INVALID.
 */
export function convertPep740(fields: Fields, fileName: string | undefined): ConvertedBundle[] {
  if (!fields.has('attestation_bundles')) return [convertAttestation(fields, fileName)];
  requireVersion1(fields);
  const attestations = fields.objects('attestation_bundles', MAX_FOREIGN_BUNDLES).flatMap((bundle) => {
    // Who published: unsigned. The identity to trust is the certificate's.
    bundle.object('publisher');
    const attested = bundle.objects('attestations', MAX_FOREIGN_BUNDLES);
    bundle.end();
    return attested;
  });
  fields.end();
  if (attestations.length === 0) throw fields.fail('attestation_bundles', 'no attestation');
  if (attestations.length > MAX_FOREIGN_BUNDLES) throw fields.fail('attestation_bundles', 'too many attestations');
  return attestations.map((attestation) => convertAttestation(attestation, fileName));
}

// Strings go over as they are; `parseBundle` is the one that judges them.
function convertAttestation(fields: Fields, fileName: string | undefined): ConvertedBundle {
  requireVersion1(fields);
  const material = fields.object('verification_material');
  const envelope = fields.object('envelope');
  const json: Json = {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: {
      certificate: { rawBytes: material.string('certificate') },
      tlogEntries: material.array('transparency_entries', MAX_TLOG_ENTRIES),
    },
    dsseEnvelope: {
      payload: envelope.string('statement'),
      payloadType: 'application/vnd.in-toto+json',
      signatures: [{ sig: envelope.string('signature') }],
    },
  };
  for (const part of [material, envelope, fields]) part.end();
  if (material.array('transparency_entries', MAX_TLOG_ENTRIES).length === 0) {
    throw material.fail('transparency_entries', 'no log entry');
  }
  return within(fields.path, () => {
    const bundle = parseBundle(serializeUtf8(JSON.stringify(json)));
    if (bundle.content.kind !== 'dsse') throw new Error('internal: an attestation without envelope');
    const statement = parseStatement(bundle.content.envelope.payload);
    requireDistribution(statement, fields, fileName);
    return { origin: fields.path, bundle, text: serializeBundle(bundle) };
  });
}

function requireVersion1(fields: Fields): void {
  if (fields.optionalInteger('version', 1, 1) === undefined) throw fields.fail('version', 'missing');
}

/** PEP 740, "Attestation statement": one subject, named as the distribution. */
function requireDistribution({ subjects }: Statement, fields: Fields, fileName: string | undefined): void {
  const [subject, ...more] = subjects;
  if (more.length > 0) throw fields.fail('envelope.statement', `${subjects.length} subjects instead of one`);
  if (subject?.name === undefined) throw fields.fail('envelope.statement', 'its subject has no name');
  if (fileName === undefined || canonicalFileName(subject.name) === canonicalFileName(fileName)) return;
  throw new VerificationError(
    'SUBJECT_MISMATCH',
    'parse',
    `the attestation is about ${JSON.stringify(subject.name.slice(0, 200))}, not about ${fileName}`,
    { evidence: `${fields.path === '' ? '' : `${fields.path}.`}envelope.statement` },
  );
}

/** A file name of a distribution with its project name normalized (PEP 503, PEP 427, PEP 625); other names as they are. */
function canonicalFileName(name: string): string {
  const [, project, rest] = /^([^-]+)(-.+\.whl)$/.exec(name) ?? /^(.+)(-[^-]+\.(?:tar\.gz|zip))$/.exec(name) ?? [];
  if (project === undefined || rest === undefined) return name;
  return `${project.toLowerCase().replace(/[-_.]+/g, '-')}${rest}`;
}
