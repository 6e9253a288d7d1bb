import { describe, expect, test } from 'bun:test';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { rejectionOf } from '../core/testing.ts';
import { signWithAgent } from './agent-client.ts';
import { requireGitPayload } from './agent-payload.ts';
import { COMMIT, requestOf } from './testing-agent.ts';
import { login, never, start } from './testing-agents.ts';

describe('what it signs', () => {
  const tag = `object 4b825dc642cb6eb9a060e54bf8d69288fbee4904
type commit
tag v1
tagger T Agger <tagger@example.com> 1700000000 -0230

message
`;
  const push = `certificate version 0.1
pusher T Agger <tagger@example.com> 1700000000 -0230
pushee /srv/repository.git
nonce 1700000000-abc

${'0'.repeat(40)} 4b825dc642cb6eb9a060e54bf8d69288fbee4904 refs/heads/main
`;
  const commit = Buffer.from(COMMIT).toString();
  const sha256 = commit.replace(/[0-9a-f]{40}/, 'a'.repeat(64));
  const merge = commit.replace('author', `parent ${'1'.repeat(40)}\nparent ${'2'.repeat(40)}\nauthor`);
  const extra = commit.replace(
    '\n\n',
    `\nencoding ISO-8859-1\nmergetag object ${'1'.repeat(40)}\n type commit\n \n a\n\n`,
  );
  test.each([
    ['commit', commit],
    ['merge', merge],
    ['commit with further headers', extra],
    ['commit with carriage returns', commit.replace('a message', 'a message\r')],
    ['commit without a message', `${commit.split('\n\n')[0]}\n\n`],
    ['commit of a SHA-256 repository', sha256],
    ['tag', tag],
    ['push certificate', push],
  ])('%s', async (_, text) => {
    const agent = start();
    const request = requestOf({ payload: serializeUtf8(text) });
    expect(await signWithAgent(agent.address, request, login().token)).toBeDefined();
  });

  // A pattern that tried again from each place of a line would take minutes here.
  test.each(['<', '> 1 +', ' ', '<a> 1 +0000 ', 'author '])('a megabyte of %p in a line', (filler) => {
    const long = filler.repeat(1_000_000 / filler.length);
    for (const text of [commit.replace('A U Thor', long), commit.replace('\n\n', `\nnote ${long}\n\n`)]) {
      expect(requireGitPayload(serializeUtf8(text))).toBeUndefined();
    }
  });

  test.each([
    ['nothing', ''],
    ['any text', 'hello\n\n'],
    ['a statement', 'DSSEv1 28 application/vnd.in-toto+json 2 {}'],
    ['signed attributes', '1\u00183\n\n'],
    ['a tree alone', 'tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\n'],
    ['a commit without its blank line', commit.split('\n\n')[0] as string],
    ['a commit without committer', commit.replace(/committer .*\n/, '')],
    ['headers in another order', commit.replace(/(author .*\n)(committer .*\n)/, '$2$1')],
    ['an object ID of another length', commit.replace(/tree ..../, 'tree ')],
    ['upper-case hexadecimal', commit.replace('4b825dc', '4B825DC')],
    ['an object ID alone', '4b825dc642cb6eb9a060e54bf8d69288fbee4904'],
    ['a commit with a signature', commit.replace('\n\n', '\ngpgsig -----BEGIN SIGNED MESSAGE-----\n\n')],
    ['a commit with the other signature', commit.replace('\n\n', '\ngpgsig-sha256 -----BEGIN SIGNED MESSAGE-----\n\n')],
    ['NUL in a header', commit.replace('\n\n', '\nx-note a\0b\n\n').replace('x-note', '\0')],
    ['a tag without its name', tag.replace(/tag .*\n/, '')],
    ['a committer without a time', commit.replace(/(committer .*>).*/, '$1')],
    ['an author without an address', commit.replace(/author .*> /, 'author name ')],
    ['a tag of something else', tag.replace('type commit', 'type secret')],
    ['a push certificate of another version', push.replace('0.1', '0.2')],
    ['a push certificate with an unknown header', push.replace('nonce', 'once')],
  ])('refused: %s', async (_, text) => {
    const agent = start();
    const request = requestOf({ payload: serializeUtf8(text) });
    expect((await rejectionOf(signWithAgent(agent.address, request, never))).code).toBe('AGENT_REFUSED');
    expect(agent.keys).toHaveLength(0);
  });
});
