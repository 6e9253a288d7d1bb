import { describe, expect, test } from 'bun:test';
import { isForeignKey, isGpgCall, parseGpgCall } from './gpg-call.ts';

const parse = (line: string) => parseGpgCall(line.split(' ').map((word) => (word === "''" ? '' : word)));

describe("git's command lines", () => {
  for (const [line, call] of [
    ['--status-fd=2 -bsau you@example.com', { kind: 'sign', statusFd: 2, key: 'you@example.com', data: '-' }],
    ["--status-fd=2 -bsau ''", { kind: 'sign', statusFd: 2, key: '', data: '-' }],
    ['--status-fd=2 -bsau -x', { kind: 'sign', statusFd: 2, key: '-x', data: '-' }],
    ['--status-fd=1 --verify /tmp/sig -', { kind: 'verify', statusFd: 1, signature: '/tmp/sig', data: '-' }],
    [
      '--keyid-format=long --status-fd=1 --verify /tmp/sig -',
      { kind: 'verify', statusFd: 1, signature: '/tmp/sig', data: '-' },
    ],
    ['--status-fd 2 --detach-sign --armor file', { kind: 'sign', statusFd: 2, key: undefined, data: 'file' }],
    ['--verify sig data', { kind: 'verify', statusFd: undefined, signature: 'sig', data: 'data' }],
  ] as const) {
    test(line, () => {
      expect(isGpgCall(line.split(' '))).toBe(true);
      expect(parse(line)).toEqual(call);
    });
  }
});

test('everything else is for the real gpg', () => {
  for (const line of ['--status-fd=2 --list-keys', '--verify sig', '-sa', '--status-fd=2', '--armor --export x']) {
    expect(parse(line)).toEqual({ kind: 'other' });
  }
});

test('no command line of ours is taken for gpg', () => {
  for (const line of [
    '',
    '--version',
    '-V',
    '--help',
    '-h',
    'sign x',
    'verify --key k x',
    'git verify',
    '--output json',
  ]) {
    expect(isGpgCall(line.split(' '))).toBe(false);
  }
});

test('half a command line is refused', () => {
  for (const line of ['--status-fd', '--status-fd=x -bsau k', '--status-fd=1 --verify -b sig -']) {
    expect(() => parse(line)).toThrow();
  }
});

test("the key of gpg or gpgsm is told from a person's name", () => {
  for (const key of ['0xDEADBEEFDEADBEEF', 'deadbeef', '0123456789ABCDEF0123456789ABCDEF01234567', 'DEADBEEF!']) {
    expect([key, isForeignKey(key)]).toEqual([key, true]);
  }
  for (const key of [undefined, '', 'You <you@example.com>', 'you@example.com', 'Dee', 'beef', '0x']) {
    expect([key, isForeignKey(key)]).toEqual([key, false]);
  }
});
