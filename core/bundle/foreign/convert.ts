import { parseUtf8 } from '../../bytes/bytes.ts';
import { Fields } from '../../bytes/fields.ts';
import { parseJson } from '../../bytes/json.ts';
import { InputError } from '../../errors.ts';
import { MAX_FOREIGN_BYTES } from '../../limits.ts';
import { convertAnswer } from './answer.ts';
import { type ConvertedBundle, embeddedBundle } from './converted.ts';
import { convertCosign, type DetachedSignature } from './cosign.ts';
import { convertJsonLines, isJsonLines } from './json-lines.ts';
import { convertPep740 } from './pep740.ts';

/** What is known beside the input. */
export interface ConvertContext {
  /** The file name of the Python distribution, for PEP 740. */
  readonly fileName?: string;
  /** What cosign wrote into files of their own. */
  readonly detached?: DetachedSignature;
}

/** Forms in which others keep bundles, and the member by which each JSON document is told from the rest. */
export const FOREIGN_FORMATS = {
  npm: { what: "answer of npm's attestation endpoint", marks: ['attestations'] },
  github: { what: "answer of GitHub's attestation endpoint", marks: ['attestations'] },
  pep740: {
    what: 'PEP 740 attestation or provenance of PyPI',
    marks: ['verification_material', 'attestation_bundles'],
  },
  jsonl: { what: 'bundles, one to a line, as gh writes them', marks: ['mediaType'] },
  cosign: { what: 'bundle of cosign 2 or earlier', marks: ['base64Signature', 'SignedEntryTimestamp'] },
} as const;
export type ForeignFormat = keyof typeof FOREIGN_FORMATS;

/**
 * Turns what others keep into standard bundles, at least one. Nothing is verified. `auto` goes by the members of the
 * document. BUNDLE_INVALID and what the parts of a bundle are refused for; SUBJECT_MISMATCH (PEP 740).
 */
export function convertBundles(
  input: Uint8Array,
  format: ForeignFormat | 'auto',
  context: ConvertContext = {},
): ConvertedBundle[] {
  if (input.length > MAX_FOREIGN_BYTES) {
    throw new InputError('INPUT_TOO_LARGE', `more than ${MAX_FOREIGN_BYTES} bytes of attestations`);
  }
  const text = parseUtf8(input);
  if (format === 'jsonl' || (format === 'auto' && isJsonLines(text))) return convertJsonLines(text);
  const json = parseJson(text);
  const fields = new Fields(json, '', 'BUNDLE_INVALID');
  switch (format === 'auto' ? formatOf(fields) : format) {
    case 'npm':
    case 'github':
      return convertAnswer(fields);
    case 'pep740':
      return convertPep740(fields, context.fileName);
    case 'cosign':
      return [convertCosign(fields, context.detached)];
    case 'jsonl':
      return [embeddedBundle(json, '')];
  }
}

function formatOf(fields: Fields): ForeignFormat {
  for (const [format, { marks }] of Object.entries(FOREIGN_FORMATS)) {
    if (marks.some((mark) => fields.has(mark))) return format as ForeignFormat;
  }
  throw new InputError('BUNDLE_INVALID', 'not a form of attestation that is known', {
    hint: `known are: ${Object.values(FOREIGN_FORMATS)
      .map(({ what }) => what)
      .join('; ')}`,
  });
}
