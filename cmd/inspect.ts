import { Command } from 'commander';
import type { Bundle, TransparencyLogEntry } from '../core/bundle/bundle.ts';
import { serializeHex } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { parseStatement } from '../core/dsse/statement.ts';
import { InputError } from '../core/errors.ts';
import { parseTimestampResponse } from '../core/timestamp/response.ts';
import { type Certificate, parseCertificate } from '../core/x509/certificate.ts';
import { fulcioClaims, oidcIssuer } from '../core/x509/fulcio.ts';
import { commonName, subjectAlternativeNames } from '../core/x509/names.ts';
import { readBundle } from './bundle-file.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { instantText, type ReportLine, reportText } from './report.ts';

/** One part of a bundle for both outputs. A part that cannot be read says so instead of hiding the others. */
interface Part {
  readonly json: Json;
  readonly lines: readonly ReportLine[];
}

/** `hallmark inspect BUNDLE`: what a bundle says of itself. Nothing is verified. */
export function inspectCommand(cli: Cli): Command {
  return new Command('inspect')
    .description('Explain a bundle without verifying it: whom it names, what it is about, where it says it was logged.')
    .argument('<bundle>', 'the bundle, or - for standard input')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  hallmark inspect app.tar.gz.sigstore.json
  hallmark inspect app.tar.gz.sigstore.json --output json | jq .signer
`,
    )
    .action(async (path: string, flags: { readonly output: OutputFormat }) => {
      const bundle = readBundle(path);
      cli.warn('not verified: anybody can write a bundle that says this; to check it: hallmark verify');
      const parts = {
        content: contentPart(bundle),
        signer: signerPart(bundle),
        logEntries: list(bundle.tlogEntries.map(logEntryPart)),
        timestamps: list(bundle.timestamps.map(timestampPart)),
      };
      const json = Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.json]));
      const lines: ReportLine[] = [['format', bundle.mediaType], ...Object.values(parts).flatMap((part) => part.lines)];
      emit(
        cli,
        flags.output,
        { ok: true, verified: false, mediaType: bundle.mediaType, ...json },
        reportText(`NOT VERIFIED: ${path}`, lines),
      );
    });
}

function readable(label: string, read: () => Part): Part {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const { code, message } = error;
    return { json: { unreadable: { code, message } }, lines: [[label, `unreadable: ${message}`]] };
  }
}

const list = (parts: readonly Part[]): Part => ({
  json: parts.map(({ json }) => json),
  lines: parts.flatMap(({ lines }) => lines),
});

function contentPart({ content }: Bundle): Part {
  if (content.kind === 'message') {
    const digest = content.digest && `${content.digest.hash}:${serializeHex(content.digest.digest)}`;
    return {
      json: { kind: 'message', digest: digest ?? null },
      lines: [
        ['content', 'signature of a file'],
        ['file', digest],
      ],
    };
  }
  const { payloadType, payload } = content.envelope;
  return readable('content', () => {
    const { predicateType, subjects } = parseStatement(payload);
    const named = subjects.map(({ name, digest }) => ({ name: name ?? null, digest: { ...digest } }));
    return {
      json: { kind: 'attestation', payloadType, predicateType, subjects: named },
      lines: [
        ['content', `attestation, ${predicateType}`],
        ...named.map(({ name, digest }): ReportLine => {
          const digests = Object.entries(digest).map(([hash, hex]) => `${hash}:${hex}`);
          return ['about', [name ?? '(no name)', ...digests].join(' ')];
        }),
      ],
    };
  });
}

function signerPart({ material }: Bundle): Part {
  if (material.kind === 'publicKey') {
    return {
      json: { kind: 'key', hint: material.hint },
      lines: [['signer', `a key, hint ${material.hint || '(none)'}`]],
    };
  }
  const [leaf = new Uint8Array()] = material.certificates;
  return readable('signer', () => certificatePart(parseCertificate(leaf)));
}

function certificatePart(certificate: Certificate): Part {
  const names = subjectAlternativeNames(certificate).map(({ value }) => value);
  const claims = fulcioClaims(certificate);
  const issuer = oidcIssuer(certificate);
  const { notBefore, notAfter } = certificate;
  const issuedBy = commonName(certificate.issuerName);
  return {
    json: {
      kind: 'certificate',
      subjectAlternativeNames: names,
      issuer: issuer ?? null,
      claims: { ...claims },
      certificate: {
        serialNumber: serializeHex(certificate.serialNumber),
        issuedBy: issuedBy ?? null,
        notBefore: notBefore.toISOString(),
        notAfter: notAfter.toISOString(),
      },
    },
    lines: [
      ['signer', ...names],
      ['vouched for by', issuer],
      [
        'certificate',
        `valid ${instantText(notBefore)} to ${instantText(notAfter)}, issued by ${issuedBy ?? '(no name)'}`,
      ],
      ['claims', ...Object.entries(claims).map(([name, value]) => `${name}: ${value}`)],
    ],
  };
}

function logEntryPart(entry: TransparencyLogEntry): Part {
  const { kind, version } = entry.kindVersion;
  const { integratedTime, inclusionPromise, inclusionProof, logIndex } = entry;
  const logId = serializeHex(entry.logId);
  const time = integratedTime === undefined ? undefined : instantOfSeconds(integratedTime);
  // Only a promise signs the time: a proof is about the entry and its index.
  const timeText = inclusionPromise ? `integrated ${time}` : `says ${time}, which nothing signs`;
  const evidence = [inclusionPromise && 'promise', inclusionProof && 'proof'].filter(
    (name) => typeof name === 'string',
  );
  return {
    json: {
      kind,
      version,
      logId,
      logIndex: String(logIndex),
      integratedTime: (inclusionPromise && time) ?? null,
      inclusionPromise: inclusionPromise !== undefined,
      inclusionProof:
        inclusionProof === undefined
          ? null
          : {
              logIndex: String(inclusionProof.logIndex),
              treeSize: String(inclusionProof.treeSize),
              origin: inclusionProof.checkpoint?.split('\n')[0] ?? null,
            },
    },
    lines: [
      ['log entry', `${kind} ${version}, index ${logIndex}, inclusion ${evidence.join(' and ') || 'not shown'}`],
      ['', `log ${logId}`, time && timeText],
    ],
  };
}

/** RFC 3339, or the bare number where no date has it. */
function instantOfSeconds(seconds: bigint): string {
  const date = new Date(Number(seconds) * 1000);
  return Number.isNaN(date.getTime()) ? `${seconds} s after 1970` : instantText(date);
}

function timestampPart(response: Uint8Array): Part {
  return readable('timestamp', () => {
    const { info } = parseTimestampResponse(response);
    return { json: { time: info.time.toISOString() }, lines: [['timestamp', instantText(info.time)]] };
  });
}
