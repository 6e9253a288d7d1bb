import { HallmarkError } from '../core/errors.ts';
import { type Cli, type OutputFormat, resultText } from './cli.ts';
import { AlreadyReported, EXIT_REJECTED, errorJson, exitCodeOf } from './exit.ts';
import { startProgress } from './progress.ts';
import type { Expanded } from './verify-list.ts';
import { prepareVerify, type Verify, type VerifyFlags } from './verify-one.ts';
import { jobsThatPay, outcomesOfWorkers, readableOnce } from './verify-pool.ts';
import { failureLine, verifiedJson, verifiedLine } from './verify-report.ts';

/** One artifact's verdict, ready to be printed: what a worker answers with. */
export interface Outcome {
  /** 0 if it is verified. */
  readonly exitCode: number;
  /** One line with its newline. */
  readonly text: string;
}

export interface ManyFlags extends VerifyFlags {
  readonly output: OutputFormat;
  readonly jobs?: number;
}

/** How often a terminal is told how far it is. */
const PROGRESS_MS = 100;

/**
 * Verifies many artifacts with one policy and one trust, a line for each in the order given, those that cannot be verified last:
 * verified ones on standard output, with `--output json` all of them. Ends with AlreadyReported if any was not verified: 12 if any was rejected, else the code
 * of the first failure.
 */
export async function verifyMany(
  cli: Cli,
  { artifacts: references, unverifiable }: Expanded,
  flags: ManyFlags,
): Promise<void> {
  const [first = ''] = references;
  const total = references.length + unverifiable.length;
  // Here too when others verify: a wrong command line is one error, not one for each artifact.
  const { verify, warnings } = await prepareVerify(cli, flags, first);
  for (const warning of warnings) cli.warn(warning);

  const once = readableOnce(flags);
  const jobs = once === undefined ? (flags.jobs ?? jobsThatPay(references)) : 1;
  if (once !== undefined && (flags.jobs ?? 1) > 1) cli.warn(`--jobs is 1: ${once} can be read only once`);
  const outcomes = async function* (): AsyncGenerator<Outcome> {
    if (jobs > 1) yield* outcomesOfWorkers(references, flags, jobs);
    else for (const reference of references) yield outcomeOf(verify, reference, flags.output);
    for (const { reference, error } of unverifiable) yield failureOf(reference, error, flags.output);
  };
  const codes: number[] = [];
  // On a terminal the lines themselves show how far it is.
  const progress = cli.outIsTerminal ? undefined : await startProgress(cli);
  let shown = 0;
  try {
    for await (const { exitCode, text } of outcomes()) {
      codes.push(exitCode);
      if (exitCode === 0 || flags.output === 'json') cli.out(text);
      else cli.say(text.trimEnd());
      if (progress === undefined || performance.now() - shown < PROGRESS_MS) continue;
      shown = performance.now();
      progress.show(`verified ${codes.length} of ${total}`);
      // Lets the line be drawn: verification itself never waits.
      await Bun.sleep(0);
    }
  } finally {
    progress?.end();
  }
  if (codes.length !== total) throw new Error('internal: an artifact without a verdict');
  const failures = codes.filter((code) => code !== 0);
  const [failure] = failures;
  cli.say(`${codes.length - failures.length} of ${codes.length} verified`);
  if (failure === undefined) return;
  throw new AlreadyReported(failures.includes(EXIT_REJECTED) ? EXIT_REJECTED : failure);
}

/** The verdict on one artifact. Only what a HallmarkError says is a verdict; a bug ends the whole run. */
export function outcomeOf(verify: Verify, reference: string, output: OutputFormat): Outcome {
  try {
    const result = verify(reference);
    return { exitCode: 0, text: resultText(output, verifiedJson(result), verifiedLine(result)) };
  } catch (error) {
    if (!(error instanceof HallmarkError)) throw error;
    return failureOf(reference, error, output);
  }
}

function failureOf(reference: string, error: HallmarkError, output: OutputFormat): Outcome {
  const json = { ok: false, artifact: { reference }, error: errorJson(error) };
  return { exitCode: exitCodeOf(error), text: resultText(output, json, failureLine(reference, error)) };
}
