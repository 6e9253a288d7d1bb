import { Command } from 'commander';
import { Fields } from '../core/bytes/fields.ts';
import { IdentityError, UsageError } from '../core/errors.ts';
import { type Http, type HttpRequest, joinUrl, parseJsonAnswer, readAnswer, request } from '../core/http/client.ts';
import { parseIdentityToken } from '../core/sign/identity-token.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { httpOf } from './http.ts';

const SERVICE = 'the development issuer';
const TIMEOUT_MS = 10_000;

/** `hallmark token`: an identity token for a script, from an issuer that believes whoever asks. */
export function tokenCommand(cli: Cli): Command {
  return new Command('token')
    .description('Get an identity token from a development issuer on this computer, without a browser.')
    .requiredOption('--issuer <url>', 'the issuer, as `hallmark serve` prints it')
    .requiredOption('--email <address>', 'who the token is to say you are')
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
The token goes to standard output, with a final newline only on a terminal: cosign cannot read a token file that ends in one.

Example:
  hallmark token --issuer http://127.0.0.1:8080/oidc --email you@example.com > token
  hallmark sign --identity-token token FILE
`,
    )
    .action(async (flags: { issuer: string; email: string; output: OutputFormat }) => {
      const token = await fetchDevelopmentToken(httpOf(cli), flags.issuer, flags.email);
      const expires = parseIdentityToken(token).expires.toISOString();
      emit(cli, flags.output, { ok: true, token, expires }, cli.outIsTerminal ? `${token}\n` : token);
    });
}

/** Asks a development issuer for a token of `email`. Its discovery document says that it is one, and where to ask. */
export async function fetchDevelopmentToken(http: Http, issuer: string, email: string): Promise<string> {
  requireLoopback(issuer);
  const discovery: HttpRequest = {
    service: SERVICE,
    method: 'GET',
    url: joinUrl(issuer, '/.well-known/openid-configuration'),
    timeoutMs: TIMEOUT_MS,
    accept: [200],
  };
  const described = parseJsonAnswer(discovery, await request(http, discovery));
  const url = readAnswer(discovery, () =>
    new Fields(described, '', 'FIELD_INVALID').optionalString('hallmark_development_token_endpoint'),
  );
  if (url === undefined || !URL.canParse(url) || new URL(url).origin !== new URL(issuer).origin) {
    throw new IdentityError('LOGIN_FAILED', `${issuer} is not a development issuer, and asks for a login`, {
      hint: 'log in with: hallmark sign FILE',
    });
  }
  const ask: HttpRequest = {
    service: SERVICE,
    method: 'POST',
    url,
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ email }),
    timeoutMs: TIMEOUT_MS,
    accept: [200],
  };
  const answer = parseJsonAnswer(ask, await request(http, ask));
  const token = readAnswer(ask, () => new Fields(answer, '', 'FIELD_INVALID').string('id_token'));
  return parseIdentityToken(token).jwt;
}

// A development issuer elsewhere would be no secret: whoever reaches it can be anybody.
function requireLoopback(issuer: string): void {
  const host = URL.canParse(issuer) ? new URL(issuer).hostname : '';
  if (/^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(host)) return;
  throw new UsageError(`--issuer ${issuer} is not a URL on this computer`, {
    hint: 'give the issuer as `hallmark serve` prints it: http://127.0.0.1:8080/...',
  });
}
