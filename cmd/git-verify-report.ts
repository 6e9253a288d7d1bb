import type { Json } from '../core/bytes/json.ts';
import { type HallmarkError, VerificationError } from '../core/errors.ts';
import type { VerifiedGitSignature } from '../gitsign/verify.ts';
import { type Cli, emit, type OutputFormat, resultText } from './cli.ts';
import { AlreadyReported, EXIT_REJECTED, errorJson, exitCodeOf } from './exit.ts';
import { printable, reportText } from './report.ts';

/** What an object turned out to be. */
type Status = 'verified' | 'rejected' | 'unproven' | 'unsigned' | 'openpgp' | 'ssh' | 'x509';
export const FOREIGN = ['unsigned', 'openpgp', 'ssh', 'x509'] as const satisfies Status[];

/** What came of one object. */
export interface Outcome {
  readonly id: string;
  readonly kind: 'commit' | 'tag';
  /** The branch or tag that it was judged for, if one was named. */
  readonly ref: string | undefined;
  readonly status: Status;
  readonly verified?: VerifiedGitSignature;
  readonly rules?: readonly string[];
  readonly error?: HallmarkError;
}

/** Objects up to which each has its line; of more, only those that are not accepted. */
const MAX_LISTED = 20;

/**
 * Prints the verdict and ends the command accordingly. What failed is talk: a script that reads standard output finds nothing there
 * to take for a verdict.
 */
export function reportOutcomes(
  cli: Cli,
  outcomes: readonly Outcome[],
  flags: { readonly allow?: readonly string[]; readonly output: OutputFormat },
): void {
  const allowed = flags.allow ?? [];
  const isAccepted = ({ status }: Outcome): boolean => status === 'verified' || allowed.includes(status);
  const failed = outcomes.filter((outcome) => !isAccepted(outcome));
  const ok = failed.length === 0;
  const json = {
    ok,
    objects: outcomes.map((outcome) => outcomeJson(outcome, isAccepted(outcome))),
    summary: countsOf(outcomes),
  };
  if (flags.output === 'json') cli.out(resultText('json', json, ''));
  else {
    const listed = outcomes.length <= MAX_LISTED ? outcomes : failed;
    const text = `${listed.map(outcomeLine).join('')}${summaryText(outcomes)}`;
    if (ok) emit(cli, 'text', {}, text);
    else for (const line of text.trimEnd().split('\n')) cli.say(line);
  }
  if (ok) return;
  const isWrong = failed.some(({ error }) => error !== undefined);
  const remedy = failed.find(({ error }) => error?.hint !== undefined)?.error?.hint;
  if (flags.output === 'text' && remedy !== undefined) cli.say(`hint: ${printable(remedy.split('\n')[0] ?? '')}`);
  throw new AlreadyReported(isWrong ? EXIT_REJECTED : exitCodeOf(new VerificationError('NO_SIGNATURE', 'parse', '')));
}

function outcomeLine({ id, kind, status, verified, rules, error }: Outcome): string {
  const what = `${status.padEnd(9)} ${kind.padEnd(6)} ${id.slice(0, 12)}`;
  if (error !== undefined) return `${what}  ${printable(error.message)} (${error.code})\n`;
  if (verified === undefined) return `${what}\n`;
  const by = `${verified.subjectAlternativeName} (${verified.issuer})`;
  return `${what}  ${printable(by)}${rules === undefined ? '' : `, ${printable(rules.join(', '))}`}\n`;
}

function countsOf(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = { objects: outcomes.length };
  for (const { status } of outcomes) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

function summaryText(outcomes: readonly Outcome[]): string {
  const signers = new Map<string, number>();
  for (const { verified } of outcomes) {
    if (verified === undefined) continue;
    const name = `${verified.subjectAlternativeName} (${verified.issuer})`;
    signers.set(name, (signers.get(name) ?? 0) + 1);
  }
  const { objects = 0, ...counts } = countsOf(outcomes);
  return reportText(`${objects} ${objects === 1 ? 'object' : 'objects'}`, [
    ...Object.entries(counts).map(([status, count]) => [status, String(count)] as const),
    ['signed by', ...[...signers].map(([name, count]) => `${name}: ${count}`)],
  ]);
}

function outcomeJson({ id, kind, ref, status, verified, rules, error }: Outcome, accepted: boolean): Json {
  return {
    id,
    kind,
    ...(ref !== undefined && { ref }),
    status,
    accepted,
    ...(verified !== undefined && {
      signer: {
        subjectAlternativeName: verified.subjectAlternativeName,
        issuer: verified.issuer,
        claims: { ...verified.claims },
      },
      times: verified.times.map(({ time, source }) => ({ time: time.toISOString(), source })),
      logEntries: verified.logEntries.map(({ log, logIndex }) => ({ url: log.baseUrl, logIndex: String(logIndex) })),
    }),
    ...(rules !== undefined && { rules: [...rules] }),
    ...(error !== undefined && { error: errorJson(error) }),
  };
}
