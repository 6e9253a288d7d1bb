import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { serializeHex } from '../core/bytes/bytes.ts';
import type { KeyKind } from '../core/crypto/algorithms.ts';
import {
  generateKey,
  generateRsaKey,
  type PrivateKey,
  serializeEncryptedPrivateKey,
} from '../core/crypto/private-key.ts';
import { keyFingerprint, type PublicKey, parsePublicKeyPem, serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { StorageError } from '../core/errors.ts';
import { writeFileAtomic } from '../core/files.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { chooseNewPassword, readKeyText, readPrivateKey } from './key-source.ts';

const KINDS: readonly KeyKind[] = ['p256', 'p384', 'p521', 'ed25519', 'rsa'];

const prefixOption = (): Option =>
  new Option('--output-key-prefix <prefix>', 'writes PREFIX.key and PREFIX.pub').default('hallmark');

/** `hallmark key generate|import|public`. */
export function keyCommand(cli: Cli): Command {
  const command = new Command('key').description('Generate, import and show signing keys.').addHelpText(
    'after',
    `
The private key is written in cosign's encrypted form, readable only by you. Its password comes from HALLMARK_PASSWORD or
COSIGN_PASSWORD, else it is asked for. Nothing is ever overwritten.

Examples:
  hallmark key generate
  hallmark key generate --type ed25519 --output-key-prefix release
  hallmark key import --key openssl.pem --output-key-prefix release
  hallmark key public --key release.key
  hallmark sign --key release.key FILE
`,
  );

  command
    .command('generate')
    .description('make a new key pair')
    .addOption(new Option('--type <kind>', 'kind of key').choices([...KINDS]).default('p256'))
    .addOption(prefixOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExamples:\n  hallmark key generate\n  hallmark key generate --type ed25519 --output-key-prefix release',
    )
    .action(async (flags: { type: KeyKind; outputKeyPrefix: string; output: OutputFormat }) => {
      requireFree(flags.outputKeyPrefix);
      const password = await chooseNewPassword(cli);
      const key = flags.type === 'rsa' ? await generateRsaKey(3072) : generateKey(flags.type);
      writePair(cli, flags, key, password);
    });

  command
    .command('import')
    .description('encrypt an existing private key (PKCS#8, PKCS#1 or SEC1 PEM, plain or encrypted)')
    .requiredOption('--key <ref>', 'the private key: a file, or env://VARIABLE')
    .addOption(prefixOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  hallmark key import --key openssl.pem --output-key-prefix release')
    .action(async (flags: { key: string; outputKeyPrefix: string; output: OutputFormat }) => {
      requireFree(flags.outputKeyPrefix);
      const key = await readPrivateKey(cli, flags.key);
      writePair(cli, flags, key, await chooseNewPassword(cli));
    });

  command
    .command('public')
    .description('print the public key of a private key')
    .requiredOption('--key <ref>', 'the key: a file, or env://VARIABLE')
    .option('--outfile <file>', 'write it to a file instead')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  hallmark key public --key release.key --outfile release.pub')
    .action(async (flags: { key: string; outfile?: string; output: OutputFormat }) => {
      const key = await readPublicHalf(cli, flags.key);
      const pem = serializePublicKeyPem(key);
      if (flags.outfile !== undefined) writeFileAtomic(flags.outfile, pem, 0o644);
      emit(cli, flags.output, { ok: true, ...describe(key), pem }, flags.outfile === undefined ? pem : '');
    });

  return command;
}

// Both names are looked at before a password is asked for; writing refuses again, in case one appears in between.
function requireFree(prefix: string): void {
  for (const path of [`${prefix}.key`, `${prefix}.pub`]) {
    if (!existsSync(path)) continue;
    throw new StorageError('FILE_EXISTS', `${path} exists already, and a key is not overwritten`, {
      hint: 'choose other names with --output-key-prefix PREFIX',
    });
  }
}

function writePair(
  cli: Cli,
  flags: { outputKeyPrefix: string; output: OutputFormat },
  key: PrivateKey,
  password: string,
): void {
  const privatePath = `${flags.outputKeyPrefix}.key`;
  const publicPath = `${flags.outputKeyPrefix}.pub`;
  writeFileAtomic(privatePath, serializeEncryptedPrivateKey(key, password, randomBytes), 0o600, 'refuse');
  writeFileAtomic(publicPath, serializePublicKeyPem(key.publicKey), 0o644, 'refuse');
  emit(
    cli,
    flags.output,
    { ok: true, privateKey: privatePath, publicKey: publicPath, ...describe(key.publicKey) },
    `private key ${privatePath} (encrypted)\npublic key  ${publicPath}\n`,
  );
}

function describe(key: PublicKey): { type: string; fingerprint: string } {
  return { type: key.kind, fingerprint: `sha256:${serializeHex(keyFingerprint(key))}` };
}

async function readPublicHalf(cli: Cli, reference: string): Promise<PublicKey> {
  const text = readKeyText(reference);
  if (text.includes('-----BEGIN PUBLIC KEY-----')) return parsePublicKeyPem(text);
  return (await readPrivateKey(cli, reference)).publicKey;
}
