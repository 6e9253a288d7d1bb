import { closeSync, openSync } from 'node:fs';
import { HallmarkError, StorageError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_CMS_BYTES, MAX_GIT_OBJECT_BYTES } from '../core/limits.ts';
import { parseCertificate } from '../core/x509/certificate.ts';
import { signatureKind } from '../gitsign/object.ts';
import { type ArmorLabel, isOurArmor, serializeArmor } from '../gitsign/signature.ts';
import { BEGIN_SIGNING, NEW_SIGNATURE, signatureCreated, verdictLines } from '../gitsign/status.ts';
import { hasBrowser } from './browser.ts';
import { type Cli, isGiven, writeAll } from './cli.ts';
import type { GitSettings } from './git-settings.ts';
import { type GpgCall, isForeignKey, parseGpgCall } from './gpg-call.ts';
import { printable } from './report.ts';
import { readStandardInput } from './standard-input.ts';

/** Exit code of everything that git is to take for a failure. */
const FAILED = 1;

/**
 * The program in gpg's place: signs what git is about to write, verifies what it has, and hands on what is not of Sigstore.
 * Returns the exit code. Standard output carries nothing but a signature or status lines.
 */
export async function runGitProgram(argv: readonly string[], cli: Cli): Promise<number> {
  let settings: GitSettings | undefined;
  try {
    const call = parseGpgCall(argv);
    const { readGitSettings } = await import('./git-settings.ts');
    settings = readGitSettings(cli);
    if (call.kind === 'sign' && !isForGpg(call, settings)) return await sign(cli, call, settings);
    if (call.kind === 'verify') {
      const armor = readFileBounded(call.signature, MAX_CMS_BYTES, 'signature');
      if (isOurArmor(armor)) return await verify(cli, call, armor, settings);
      return await passOnTo(cli, signatureKind(armor) === 'x509' ? 'gpgsm' : 'gpg', settings, argv);
    }
    return await passOnTo(
      cli,
      call.kind === 'other' && formatOf(settings) === 'x509' ? 'gpgsm' : 'gpg',
      settings,
      argv,
    );
  } catch (error) {
    return reportFailure(error, cli);
  }
}

const formatOf = (settings: GitSettings): string => settings.git('gpg.format')?.value ?? 'openpgp';

// A key ID names a key of gpg's, where git signs with OpenPGP. Under x509 it is left over from before, and gitsign too ignores it.
const isForGpg = (call: SignCall, settings: GitSettings): boolean =>
  isForeignKey(call.key) && formatOf(settings) === 'openpgp';

async function passOnTo(
  cli: Cli,
  program: 'gpg' | 'gpgsm',
  settings: GitSettings,
  argv: readonly string[],
): Promise<number> {
  // Loaded only here: most signatures are ours.
  const { passOn } = await import('./pass-on.ts');
  return passOn(cli, program, settings.get(program === 'gpg' ? 'gpgProgram' : 'gpgsmProgram')?.value, argv);
}

type SignCall = Extract<GpgCall, { kind: 'sign' }>;
type VerifyCall = Extract<GpgCall, { kind: 'verify' }>;

async function sign(cli: Cli, call: SignCall, settings: GitSettings): Promise<number> {
  // All of it, or git would write into a pipe that nobody reads.
  const payload = readData(call.data);
  // Before anything is logged.
  if (!isGiven(1)) throw cannotWrite('standard output', 'it is closed');
  const status = statusWriter(call.statusFd);
  status(BEGIN_SIGNING);
  const { signForGit } = await import('./git-signing.ts');
  const label = armorLabel(settings);
  const made = await signForGit(withTerminal(cli), settings, payload, label);
  mustWrite(1, serializeArmor(label, made.cms), 'standard output');
  // Only now: with this line git takes whatever came for the signature, nothing included.
  status(signatureCreated(parseCertificate(made.certificate), cli.now()));
  return 0;
}

// git verifies by the label alone. PGP's is for the one setting in which it comes back here and SIGNED MESSAGE would not.
function armorLabel(settings: GitSettings): ArmorLabel {
  if (formatOf(settings) !== 'openpgp') return 'SIGNED MESSAGE';
  return isHallmark(settings.git('gpg.x509.program')?.value) ? 'SIGNED MESSAGE' : 'PGP SIGNATURE';
}

// By its name: to look into every program that somebody configured would cost each commit more than it is worth.
const isHallmark = (program: string | undefined): boolean => /(?:^|\/)hallmark(?:\.exe)?$/.test(program ?? '');

async function verify(cli: Cli, call: VerifyCall, armor: Uint8Array, settings: GitSettings): Promise<number> {
  const status = statusWriter(call.statusFd);
  status(NEW_SIGNATURE);
  try {
    const payload = readData(call.data);
    const { verifyForGit } = await import('./git-verifying.ts');
    const { verdict, lines } = await verifyForGit(cli, settings, payload, armor);
    status(verdictLines(verdict));
    for (const line of lines) cli.say(printable(line));
    return verdict.kind === 'good' && verdict.trust !== 'NEVER' ? 0 : FAILED;
  } catch (error) {
    // Whatever went wrong, git hears of a signature that could not be judged, not of none.
    status(verdictLines({ kind: 'error', certificate: undefined }));
    throw error;
  }
}

function readData(path: string): Uint8Array {
  if (path !== '-') return readFileBounded(path, MAX_GIT_OBJECT_BYTES, 'signed data');
  return readStandardInput(MAX_GIT_OBJECT_BYTES);
}

function statusWriter(fd: number | undefined): (lines: string) => void {
  if (fd === undefined) return () => {};
  const name = `the status, descriptor ${fd}`;
  if (!isGiven(fd)) throw cannotWrite(name, 'it is closed');
  return (lines) => mustWrite(fd, lines, name);
}

// Of a signature that did not arrive nobody may believe that it was made, nor of a verdict that it was given.
function mustWrite(fd: number, text: string, name: string): void {
  let problem = 'its reader has left';
  try {
    if (writeAll(fd, text)) return;
  } catch (cause) {
    problem = (cause as Error).message;
  }
  throw cannotWrite(name, problem);
}

const cannotWrite = (name: string, problem: string): StorageError =>
  new StorageError('FILE_UNWRITABLE', `cannot write to ${name}: ${problem}`, {
    hint: 'send it to where it can be written',
  });

// git gives its programs pipes for standard input, output and error. Whoever is at the terminal is asked there.
function withTerminal(cli: Cli): Cli {
  const terminal = openTerminal();
  if (terminal !== undefined) closeSync(terminal);
  // An editor commits without a terminal; its desktop has a browser all the same.
  if (terminal === undefined && !hasBrowser(cli)) return cli;
  const say = (text: string): void => {
    if (!sayOnTerminal(text)) cli.say(text);
  };
  return {
    ...cli,
    interactive: cli.env('CI') === undefined,
    colour: false,
    say,
    warn: (text) => say(`warning: ${text}`),
  };
}

function openTerminal(): number | undefined {
  try {
    return openSync('/dev/tty', 'w');
  } catch {
    return undefined;
  }
}

function sayOnTerminal(text: string): boolean {
  const terminal = openTerminal();
  if (terminal === undefined) return false;
  try {
    writeAll(terminal, `${text}\n`);
    return true;
  } catch {
    return false;
  } finally {
    closeSync(terminal);
  }
}

// One line, so that it survives in what git prints around it; on the terminal too where git keeps standard error to itself.
async function reportFailure(error: unknown, cli: Cli): Promise<number> {
  const known = error instanceof HallmarkError;
  const message = error instanceof Error ? error.message : String(error);
  const hint = known ? error.hint?.split('\n')[0] : undefined;
  const text = `hallmark: ${known ? '' : 'internal error: '}${printable(message)}${hint === undefined ? '' : ` (${printable(hint)})`}`;
  cli.say(text);
  if (await hidesStandardError()) sayOnTerminal(text);
  return FAILED;
}

async function hidesStandardError(): Promise<boolean> {
  const { tryGit } = await import('./git-process.ts');
  try {
    const [, major, minor] = /(\d+)\.(\d+)/.exec(Buffer.from(tryGit(['--version']).stdout).toString()) ?? [];
    return major !== undefined && (Number(major) < 2 || (Number(major) === 2 && Number(minor) < 40));
  } catch {
    return false;
  }
}
