import { Command } from 'commander';
import { equal, serializeHex } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { UsageError, VerificationError } from '../core/errors.ts';
import { MAX_WITNESSES } from '../core/limits.ts';
import { type Cosignature, verifyCosignatures } from '../core/merkle/cosignature.ts';
import type { NoteSignature } from '../core/merkle/note.ts';
import { parseVkey, serializeVkey, type Vkey, vkeyOf } from '../core/merkle/vkey.ts';
import type { SignedCheckpoint } from '../core/verify/checkpoint.ts';
import { type Cli, emit, outputOption } from './cli.ts';
import { compareWithMemory } from './log-memory.ts';
import { type LogFlags, logOptions, openLogSource } from './log-source.ts';
import { instantText, type ReportLine, reportText } from './report.ts';

interface InfoFlags extends LogFlags {
  readonly witness?: readonly string[];
  readonly witnessThreshold?: string;
  readonly memory: boolean;
}

/** `hallmark log info`: what a log says of itself now, compared with what it said before. */
export function logInfoCommand(cli: Cli): Command {
  const append = (value: string, previous: readonly string[] = []): string[] => [...previous, value];
  const command = new Command('info').description(
    'show the newest checkpoint of a log, verified, and that it extends the one seen last time',
  );
  return logOptions(command)
    .option('--witness <vkey>', 'verifier key of a witness that has to have cosigned; may be repeated', append)
    .option('--witness-threshold <n>', 'how many of the witnesses (default: all)')
    .option('--no-memory', 'neither compare with what was seen before nor remember it')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Examples:
  hallmark log info
  hallmark log info --rekor-url https://rekor.sigstore.dev --trust public-good
  hallmark log info --rekor-version 2 --witness witness.example.com/w1+1a2b3c4d+AaBb... --output json

Exit codes: 0 verified, 12 not signed by the log, not cosigned by enough witnesses, or it contradicts what was seen before.
`,
    )
    .action((flags: InfoFlags) => info(cli, flags));
}

async function info(cli: Cli, flags: InfoFlags): Promise<void> {
  const witnesses = parseWitnesses(flags);
  const client = openLogSource(cli, flags).client();
  const { url, version } = client.address;
  const now = await client.checkpoint();
  const cosignatures = requireCosignatures(now, witnesses.keys, witnesses.threshold);
  const before = flags.memory ? await compareWithMemory(cli, client, now) : undefined;

  const { checkpoint, log } = now;
  // The key of a Rekor v1 log is ECDSA, for which there is no verifier key.
  const vkey =
    version === 2 && log.publicKey.kind === 'ed25519'
      ? serializeVkey(vkeyOf(checkpoint.origin, 'log', log.publicKey))
      : undefined;
  const { origin, treeSize } = checkpoint;
  const rootHash = serializeHex(checkpoint.rootHash);
  const json: Record<string, Json> = {
    ok: true,
    url,
    version,
    origin,
    treeSize: String(treeSize),
    rootHash,
    logId: serializeHex(log.logId),
    vkey: vkey ?? null,
    cosignatures: cosignatures.map(({ line, verified }) => ({
      name: line.name,
      keyId: serializeHex(line.keyId),
      verified: verified !== undefined,
      time: verified?.time.toISOString() ?? null,
    })),
    extends: before === undefined ? null : { treeSize: String(before.checkpoint.treeSize) },
    checkpoint: now.envelope,
  };
  const lines: ReportLine[] = [
    ['dialect', `Rekor v${version}`],
    ['origin', origin],
    ['entries', String(treeSize)],
    ['root hash', rootHash],
    ['log ID', serializeHex(log.logId)],
    ['verifier key', vkey],
    ['cosigned by', ...cosignatures.map(cosignatureText)],
    ['seen before', before && `${before.checkpoint.treeSize} entries, which this extends`],
  ];
  emit(cli, flags.output, json, reportText(`VERIFIED: ${url}`, lines));
}

function parseWitnesses(flags: InfoFlags): { keys: readonly Vkey[]; threshold: number } {
  const keys = (flags.witness ?? []).map(parseVkey);
  if (keys.length > MAX_WITNESSES) throw new UsageError(`more than ${MAX_WITNESSES} witnesses`);
  const log = keys.find(({ use }) => use !== 'witness');
  if (log) {
    throw new UsageError(`--witness: the key of ${log.name} is one of a log`, {
      hint: 'pass the verifier key of a witness, as it prints it when it starts',
    });
  }
  const given = flags.witnessThreshold ?? String(keys.length);
  const threshold = /^[0-9]{1,3}$/.test(given) ? Number(given) : Number.NaN;
  if (!(threshold >= Math.min(1, keys.length) && threshold <= keys.length)) {
    throw new UsageError(`--witness-threshold: expected 1 to ${keys.length}, the number of witnesses`, {
      hint: 'name each witness with --witness VKEY',
    });
  }
  return { keys, threshold };
}

interface ShownCosignature {
  readonly line: NoteSignature;
  /** Undefined where nobody named its witness: then it is only what the log says. */
  readonly verified: Cosignature | undefined;
}

// A witness counts once, however many names or lines it has.
function requireCosignatures(
  { checkpoint: { note }, log, envelope }: SignedCheckpoint,
  keys: readonly Vkey[],
  threshold: number,
): ShownCosignature[] {
  const verified = verifyCosignatures(note, keys);
  if (verified.length < threshold) {
    const names = keys.filter((key) => !verified.some(({ witness }) => witness === key)).map(({ name }) => name);
    throw new VerificationError(
      'COSIGNATURES_MISSING',
      'log',
      `${verified.length} of the witnesses have cosigned the checkpoint, ${threshold} are required; not ${names.join(', ')}`,
      { evidence: envelope, hint: 'the log may show this tree to nobody else: ask its operator why they did not' },
    );
  }
  const others = note.signatures.filter(({ keyId }) => !equal(keyId, log.logId.subarray(0, keyId.length)));
  return others.map((line) => ({
    line,
    verified: verified.find(({ witness }) => witness.name === line.name && equal(witness.keyId, line.keyId)),
  }));
}

const cosignatureText = ({ line, verified }: ShownCosignature): string =>
  verified
    ? `${line.name} at ${instantText(verified.time)}`
    : `${line.name} (key ID ${serializeHex(line.keyId)}), not verified: --witness names its key`;
