import { parseBase64, serializeBase64 } from '../bytes/bytes.ts';
import { InputError } from '../errors.ts';
import { MAX_KEY_FILE_BYTES } from '../limits.ts';

/** One PEM block: its label and the decoded body. */
export interface PemBlock {
  readonly label: string;
  readonly der: Uint8Array;
}

/** A block of a private key, which may be encrypted by its headers (RFC 1421 §4.6.1). */
export interface KeyPemBlock extends PemBlock {
  /** The value of DEK-Info: one of CIPHERS and its IV in hex. `der` is ciphertext then. */
  readonly dekInfo?: string;
}

/** Bytes of the IV of each cipher that headers may name. */
const CIPHERS: ReadonlyMap<string, number> = new Map([
  ['AES-128-CBC', 16],
  ['AES-192-CBC', 16],
  ['AES-256-CBC', 16],
  ['DES-EDE3-CBC', 8],
]);
/** The labels under which OpenSSL has encrypted so. PKCS#8 has an encryption of its own. */
const ENCRYPTABLE: readonly string[] = ['EC PRIVATE KEY', 'RSA PRIVATE KEY'];
/** Proc-Type, DEK-Info and a blank line. */
const HEADER_LINES = 3;
const BEGIN = /^-----BEGIN ([A-Z0-9]+(?: [A-Z0-9]+)*)-----$/;
const CONVERT = 'if this is an encrypted private key, convert it: openssl pkcs8 -topk8 -in OLD -out NEW';
const LINE = /^[A-Za-z0-9+/]+={0,2}$/;

function fail(line: number, problem: string): InputError {
  return new InputError('PEM_INVALID', `line ${line}: ${problem}`);
}

/**
 * All blocks of a PEM text (RFC 7468), at least one, all with `label` where it is given. Lines end in LF or CRLF and may
 * have any width; the body is canonical base64 without blank lines or headers. Between blocks only blank lines are allowed;
 * for CERTIFICATE any other text too, as CA bundles carry it (§5.2). Errors: PEM_INVALID.
 */
export function parsePem(text: string, label?: string): PemBlock[] {
  return parseBlocks(text, label, []);
}

/** The same for private keys, which may be encrypted by headers. Errors: PEM_INVALID, KEY_UNSUPPORTED. */
export function parseKeyPem(text: string): KeyPemBlock[] {
  return parseBlocks(text, undefined, ENCRYPTABLE);
}

function parseBlocks(text: string, label: string | undefined, encryptable: readonly string[]): KeyPemBlock[] {
  if (text.length > MAX_KEY_FILE_BYTES) throw new InputError('PEM_INVALID', `PEM longer than ${MAX_KEY_FILE_BYTES}`);
  const lines = text.split(/\r?\n/);
  const blocks: KeyPemBlock[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] as string;
    const found = BEGIN.exec(line)?.[1];
    if (found === undefined) {
      if (line.trim() !== '' && (label !== 'CERTIFICATE' || line.includes('-----')))
        throw fail(at + 1, blocks.length === 0 ? 'expected a PEM block' : 'text outside of the PEM blocks');
      continue;
    }
    if (label !== undefined && found !== label) throw fail(at + 1, `expected ${label}, found ${found.slice(0, 80)}`);
    const end = lines.indexOf(`-----END ${found}-----`, at + 1);
    if (end < 0) throw fail(at + 1, `no end line for ${found.slice(0, 80)}`);
    const dekInfo = encryptable.includes(found) ? dekInfoAt(lines, at + 1) : undefined;
    if (dekInfo === undefined) blocks.push({ label: found, der: parseBody(lines, at + 1, end) });
    else blocks.push({ label: found, der: parseBody(lines, at + 1 + HEADER_LINES, end), dekInfo });
    at = end;
  }
  if (blocks.length === 0) throw new InputError('PEM_INVALID', 'no PEM block');
  return blocks;
}

function dekInfoAt(lines: readonly string[], at: number): string | undefined {
  if (lines[at] !== 'Proc-Type: 4,ENCRYPTED') return undefined;
  const [, dekInfo, cipher = '', iv = ''] = /^DEK-Info: (([A-Z0-9-]+),([0-9A-Fa-f]+))$/.exec(lines[at + 1] ?? '') ?? [];
  if (dekInfo === undefined || lines[at + 2] !== '') throw fail(at + 2, 'expected DEK-Info and a blank line');
  const ivBytes = CIPHERS.get(cipher);
  if (ivBytes === undefined) {
    throw new InputError('KEY_UNSUPPORTED', `private key encrypted with ${cipher.slice(0, 80)}`, { hint: CONVERT });
  }
  if (iv.length !== 2 * ivBytes) throw fail(at + 2, `expected an IV of ${ivBytes} bytes`);
  return dekInfo;
}

function parseBody(lines: readonly string[], start: number, end: number): Uint8Array {
  for (let at = start; at < end; at++) {
    const line = lines[at] as string;
    if (line.includes(':')) {
      throw new InputError('PEM_INVALID', `line ${at + 1}: PEM headers are not supported`, {
        hint: CONVERT,
      });
    }
    // Padding inside the body is caught below: the joined text is not canonical then.
    if (!LINE.test(line)) throw fail(at + 1, 'not base64');
  }
  if (start === end) throw fail(start, 'empty PEM block');
  try {
    return parseBase64(lines.slice(start, end).join(''));
  } catch (cause) {
    throw new InputError('PEM_INVALID', `line ${start + 1}: not canonical base64`, { cause });
  }
}

/** One block in lines of 64 characters with a final newline (RFC 7468 §2). */
export function serializePem(label: string, der: Uint8Array): string {
  const text = serializeBase64(der);
  let body = '';
  for (let at = 0; at < text.length; at += 64) body += `${text.slice(at, at + 64)}\n`;
  return `-----BEGIN ${label}-----\n${body}-----END ${label}-----\n`;
}
