import { serializeHex } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import type { HallmarkError } from '../core/errors.ts';
import type { VerifiedBundle } from '../core/verify/verify.ts';
import { instantText, printable, reportText } from './report.ts';
import { trustJson } from './trust-store.ts';
import type { Verified } from './verify-one.ts';

/** What was verified, for a person. */
export function verifiedText({ reference, verified, trust }: Verified): string {
  const { signer, times, logEntries, artifact, statement, rule } = verified;
  return reportText(`Verified: ${reference}`, [
    signer.kind === 'certificate'
      ? ['signed by', signer.subjectAlternativeName]
      : ['signed by', `the given key, sha256:${serializeHex(signer.fingerprint)}`],
    ['vouched for by', signer.kind === 'certificate' ? signer.issuer : undefined],
    ['allowed by', rule === undefined ? undefined : `rule ${rule}`],
    ['attests', statement?.predicateType],
    ['signed at', ...times.map((time) => `${instantText(time.time)} (${time.source} ${urlOf(time)})`)],
    ['logged in', ...logEntries.map(({ log, logIndex }) => `${log.baseUrl}, index ${logIndex}`)],
    ['trusting', trust.age === undefined ? trust.name : `${trust.name} as of ${instantText(trust.age.fetchedAt)}`],
    [artifact.hash, serializeHex(artifact.digest)],
  ]);
}

/** The same in one line, for one of many. */
export function verifiedLine({ reference, verified: { signer } }: Verified): string {
  const by = signer.kind === 'certificate' ? signer.subjectAlternativeName : 'the given key';
  return `verified: ${printable(reference)} (${printable(by)})\n`;
}

/** Why one of many was not verified, in one line. */
export function failureLine(reference: string, { code, message }: HallmarkError): string {
  return `not verified: ${printable(reference)} (${code}: ${printable(message)})\n`;
}

/** What was verified, for a machine: the members that `--output json` promises. */
export function verifiedJson({ reference, verified, trust }: Verified): Record<string, Json> {
  const { signer, times, logEntries, artifact, statement, rule } = verified;
  return {
    ok: true,
    artifact: { reference, hash: artifact.hash, digest: serializeHex(artifact.digest) },
    signer:
      signer.kind === 'key'
        ? { kind: 'key', fingerprint: `sha256:${serializeHex(signer.fingerprint)}` }
        : {
            kind: 'certificate',
            subjectAlternativeName: signer.subjectAlternativeName,
            issuer: signer.issuer,
            claims: { ...signer.claims },
            certificate: {
              serialNumber: serializeHex(signer.certificate.serialNumber),
              notBefore: signer.certificate.notBefore.toISOString(),
              notAfter: signer.certificate.notAfter.toISOString(),
            },
          },
    ...(rule !== undefined && { rule }),
    times: times.map((time) => ({ time: time.time.toISOString(), source: time.source, url: urlOf(time) })),
    logEntries: logEntries.map(({ log, logIndex, integratedTime, kind, version }) => ({
      url: log.baseUrl,
      logId: serializeHex(log.logId),
      logIndex: String(logIndex),
      integratedTime: integratedTime?.toISOString() ?? null,
      kind,
      version,
    })),
    statement:
      statement === undefined
        ? null
        : {
            predicateType: statement.predicateType,
            subjects: statement.subjects.map(({ name, digest }) => ({ name: name ?? null, digest: { ...digest } })),
          },
    trust: trustJson(trust),
  };
}

function urlOf(time: VerifiedBundle['times'][number]): string {
  return time.source === 'log' ? time.log.baseUrl : (time.authority.uri ?? '');
}
