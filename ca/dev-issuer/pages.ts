import { createHash } from 'node:crypto';

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem;color:#1c1c1c;background:#fff}
.label{border-left:.35rem solid #b45309;background:#fef3c7;padding:.6rem .9rem;color:#78350f}
label{display:block;font-weight:600;margin:1.2rem 0 .3rem}
input{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;border:1px solid #767676;border-radius:.25rem}
button{font:inherit;margin:1rem .5rem 0 0;padding:.5rem 1.2rem;border:1px solid #1c1c1c;border-radius:.25rem;background:#1c1c1c;color:#fff}
button.quiet{background:#fff;color:#1c1c1c}
code{display:block;font-size:1.2rem;padding:.8rem;background:#f3f3f3;word-break:break-all}
.error{color:#b00020}`;
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

const LABEL = `<p class="label"><strong>Development issuer.</strong> It asks for no password:
whoever uses this computer can log in as anybody. Do not trust its identities outside of tests.</p>`;

/** Text as it may stand in HTML, also inside a quoted attribute. */
function escapeHtml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] as string);
}

/**
 * A page without scripts, frames and outside content. `formTargets` are the origins that its form may lead to: browsers
 * hold a form's redirects to them as well.
 */
function page(status: number, title: string, content: string, formTargets: readonly string[] = []): Response {
  const policy = [
    "default-src 'none'",
    `style-src 'sha256-${STYLE_HASH}'`,
    `form-action 'self'${formTargets.map((target) => ` ${target}`).join('')}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; ');
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>${STYLE}</style></head>
<body><h1>${title}</h1>
${LABEL}
${content}
</body></html>
`;
  return new Response(html, {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    },
  });
}

const hidden = (fields: readonly (readonly [string, string])[]): string =>
  fields
    .map(([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`)
    .join('');

const emailField = (email: string): string =>
  `<label for="email">Log in as</label>
<input id="email" name="email" type="email" required autofocus autocomplete="email" placeholder="you@example.com" value="${escapeHtml(email)}">`;

const problemLine = (problem: string | undefined): string =>
  problem === undefined ? '' : `<p class="error">${escapeHtml(problem)}</p>`;

/** The login form of the authorization code flow; it carries the request along. */
export function loginPage(form: {
  action: string;
  carried: readonly (readonly [string, string])[];
  formTarget: string | undefined;
  email: string;
  problem?: string;
}): Response {
  return page(
    form.problem === undefined ? 200 : 400,
    'Log in',
    `<form method="post" action="${escapeHtml(form.action)}">${hidden(form.carried)}
${emailField(form.email)}
${problemLine(form.problem)}<button type="submit">Log in</button></form>`,
    form.formTarget === undefined ? [] : [form.formTarget],
  );
}

/** Shows the code to a person whose client has no listener. */
export function codePage(code: string): Response {
  return page(
    200,
    'Your code',
    `<p>Copy this code to where you started the login:</p><code>${escapeHtml(code)}</code>`,
  );
}

/** The form of the device flow (RFC 8628 §3.3): the code that the device shows, and who allows it. */
export function devicePage(form: { action: string; userCode: string; email: string; problem?: string }): Response {
  return page(
    form.problem === undefined ? 200 : 400,
    'Log in a device',
    `<p>Go on only if the code below is the one that your own device shows.</p>
<form method="post" action="${escapeHtml(form.action)}">
<label for="user_code">Code</label>
<input id="user_code" name="user_code" required autocomplete="off" value="${escapeHtml(form.userCode)}">
${emailField(form.email)}
${problemLine(form.problem)}<button type="submit" name="decision" value="allow">Allow</button><button type="submit" name="decision" value="deny" class="quiet" formnovalidate>Deny</button></form>`,
  );
}

/** One sentence for a person: the end of a flow, or why it cannot begin. */
export function messagePage(status: number, title: string, message: string): Response {
  return page(status, escapeHtml(title), `<p>${escapeHtml(message)}</p>`);
}
